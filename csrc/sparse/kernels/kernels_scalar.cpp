// Without any instruction set: vectors are arrays of 8, which the compiler may vectorise where the
// baseline has a fused multiply-add (NEON). Where it has none (x86 before FMA), the C library gives
// the same bits, slowly.
// product: 4 tokens x 8 features at a time.
#include <cmath>
#include <cstring>

#include "sparse/kernels/kernels.h"

namespace {

constexpr int kRows = 4, kVectors = 1;

template <class T>
struct Vec {
  static constexpr int kLanes = 8;
  struct type {
    T lane[kLanes];
  };
  static type zero() { return type{}; }
  static type load(const T* at) {
    type out;
    std::memcpy(out.lane, at, sizeof out.lane);
    return out;
  }
  static void store(T* at, const type& value) { std::memcpy(at, value.lane, sizeof value.lane); }
  static type broadcast(const T* at) {
    type out;
    for (T& lane : out.lane) lane = *at;
    return out;
  }
  static type fma(const type& a, const type& b, const type& c) {
    type out;
    for (int l = 0; l < kLanes; ++l) out.lane[l] = std::fma(a.lane[l], b.lane[l], c.lane[l]);
    return out;
  }
  static unsigned at_least(const type& a, const type& b) {
    unsigned mask = 0;
    for (int l = 0; l < kLanes; ++l) mask |= static_cast<unsigned>(a.lane[l] >= b.lane[l]) << l;
    return mask;
  }
  static unsigned above(const type& a, const type& b) {
    unsigned mask = 0;
    for (int l = 0; l < kLanes; ++l) mask |= static_cast<unsigned>(a.lane[l] > b.lane[l]) << l;
    return mask;
  }
};

}  // namespace

namespace ilo {

#include "sparse/kernels/operations.inl"

const SparseKernels* sparse_kernels_scalar() {
  static constexpr SparseKernels table = table_of("scalar");
  return &table;
}

}  // namespace ilo
