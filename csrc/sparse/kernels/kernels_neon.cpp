// NEON, which every aarch64 has.
// product: 8 tokens x 3 vectors of features in 24 of the 32 registers, 3 more hold the weights, and
// the broadcast value: 24 multiply-adds for 11 loads a step (blocking as in kernels_avx2.cpp).
#include <arm_neon.h>

#include <cstring>

#include "sparse/kernels/kernels.h"

namespace {

constexpr int kRows = 8, kVectors = 3;

template <class T>
struct Vec;

template <>
struct Vec<float> {
  static constexpr int kLanes = 4;
  using type = float32x4_t;
  static type zero() { return vdupq_n_f32(0); }
  static type load(const float* at) { return vld1q_f32(at); }
  static void store(float* at, type value) { vst1q_f32(at, value); }
  static type broadcast(const float* at) { return vld1q_dup_f32(at); }
  static type fma(type a, type b, type c) { return vfmaq_f32(c, a, b); }
  static unsigned bits(uint32x4_t mask) {
    const std::uint32_t weights[4] = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(mask, vld1q_u32(weights)));
  }
  static unsigned at_least(type a, type b) { return bits(vcgeq_f32(a, b)); }
  static unsigned above(type a, type b) { return bits(vcgtq_f32(a, b)); }
};

template <>
struct Vec<double> {
  static constexpr int kLanes = 2;
  using type = float64x2_t;
  static type zero() { return vdupq_n_f64(0); }
  static type load(const double* at) { return vld1q_f64(at); }
  static void store(double* at, type value) { vst1q_f64(at, value); }
  static type broadcast(const double* at) { return vld1q_dup_f64(at); }
  static type fma(type a, type b, type c) { return vfmaq_f64(c, a, b); }
  static unsigned bits(uint64x2_t mask) {
    return static_cast<unsigned>((vgetq_lane_u64(mask, 0) & 1) | (vgetq_lane_u64(mask, 1) & 2));
  }
  static unsigned at_least(type a, type b) { return bits(vcgeq_f64(a, b)); }
  static unsigned above(type a, type b) { return bits(vcgtq_f64(a, b)); }
};

}  // namespace

namespace ilo {

#include "sparse/kernels/operations.inl"

const SparseKernels* sparse_kernels_neon() {
  static constexpr SparseKernels table = table_of("neon");
  return &table;
}

}  // namespace ilo
