// AVX2 and FMA.
// product: 4 tokens x 3 vectors of features in 12 of the 16 registers, 3 more hold the weights, 1
// the broadcast value: 12 multiply-adds for 7 loads a step, so that the two multiply-add ports are
// the limit (blocking after Goto & van de Geijn, "Anatomy of high-performance matrix
// multiplication", ACM TOMS 2008).
#include <immintrin.h>

#include <cstring>

#include "sparse/kernels/kernels.h"

namespace {

constexpr int kRows = 4, kVectors = 3;

template <class T>
struct Vec;

template <>
struct Vec<float> {
  static constexpr int kLanes = 8;
  using type = __m256;
  static type zero() { return _mm256_setzero_ps(); }
  static type load(const float* at) { return _mm256_loadu_ps(at); }
  static void store(float* at, type value) { _mm256_storeu_ps(at, value); }
  static type broadcast(const float* at) { return _mm256_broadcast_ss(at); }
  static type fma(type a, type b, type c) { return _mm256_fmadd_ps(a, b, c); }
  static unsigned at_least(type a, type b) {
    return static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GE_OQ)));
  }
  static unsigned above(type a, type b) {
    return static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ)));
  }
};

template <>
struct Vec<double> {
  static constexpr int kLanes = 4;
  using type = __m256d;
  static type zero() { return _mm256_setzero_pd(); }
  static type load(const double* at) { return _mm256_loadu_pd(at); }
  static void store(double* at, type value) { _mm256_storeu_pd(at, value); }
  static type broadcast(const double* at) { return _mm256_broadcast_sd(at); }
  static type fma(type a, type b, type c) { return _mm256_fmadd_pd(a, b, c); }
  static unsigned at_least(type a, type b) {
    return static_cast<unsigned>(_mm256_movemask_pd(_mm256_cmp_pd(a, b, _CMP_GE_OQ)));
  }
  static unsigned above(type a, type b) {
    return static_cast<unsigned>(_mm256_movemask_pd(_mm256_cmp_pd(a, b, _CMP_GT_OQ)));
  }
};

}  // namespace

namespace ilo {

#include "sparse/kernels/operations.inl"

const SparseKernels* sparse_kernels_avx2() {
  static constexpr SparseKernels table = table_of("avx2");
  return &table;
}

}  // namespace ilo
