// The emulator's cuda/kernels/intrinsics.h: it comes first on the include path.
#pragma once

#include "cuda/platform.h"

namespace ilo::gpu {

template <class T>
T* dynamic_shared() {
  return static_cast<T*>(dynamic_shared_memory());
}

inline void cp_async_16(void* shared, const void* global) { copy_async(shared, global); }
inline void cp_async_commit() { copy_async_commit(); }
template <int N>
void cp_async_wait() {
  copy_async_wait(N);
}
inline void ldmatrix_x4(unsigned (&r)[4], const void* shared_row, ILO_CALLER) {
  load_matrices(r, shared_row, ILO_PLACE("ldmatrix"));
}
inline void mma_m16n8k16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2],
                         ILO_CALLER) {
  multiply_matrices(c, a, b, ILO_PLACE("mma"));
}

}  // namespace ilo::gpu
