// AVX-512 (F, BW, DQ, VL).
// product: 8 tokens x 3 vectors of features in 24 of the 32 registers, 3 more hold the weights: 24
// multiply-adds for 11 loads a step (blocking as in kernels_avx2.cpp).
#include <immintrin.h>

#include <cstring>

#include "sparse/kernels/kernels.h"

namespace {

constexpr int kRows = 8, kVectors = 3;

template <class T>
struct Vec;

template <>
struct Vec<float> {
  static constexpr int kLanes = 16;
  using type = __m512;
  static type zero() { return _mm512_setzero_ps(); }
  static type load(const float* at) { return _mm512_loadu_ps(at); }
  static void store(float* at, type value) { _mm512_storeu_ps(at, value); }
  static type broadcast(const float* at) { return _mm512_set1_ps(*at); }
  static type fma(type a, type b, type c) { return _mm512_fmadd_ps(a, b, c); }
  static unsigned at_least(type a, type b) { return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ); }
  static unsigned above(type a, type b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
};

template <>
struct Vec<double> {
  static constexpr int kLanes = 8;
  using type = __m512d;
  static type zero() { return _mm512_setzero_pd(); }
  static type load(const double* at) { return _mm512_loadu_pd(at); }
  static void store(double* at, type value) { _mm512_storeu_pd(at, value); }
  static type broadcast(const double* at) { return _mm512_set1_pd(*at); }
  static type fma(type a, type b, type c) { return _mm512_fmadd_pd(a, b, c); }
  static unsigned at_least(type a, type b) { return _mm512_cmp_pd_mask(a, b, _CMP_GE_OQ); }
  static unsigned above(type a, type b) { return _mm512_cmp_pd_mask(a, b, _CMP_GT_OQ); }
};

}  // namespace

namespace ilo {

#include "sparse/kernels/operations.inl"

const SparseKernels* sparse_kernels_avx512() {
  static constexpr SparseKernels table = table_of("avx512");
  return &table;
}

}  // namespace ilo
