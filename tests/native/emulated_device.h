// Copies to and from the CUDA emulator, for tests that launch kernels on it.
#pragma once

#include <vector>

#include "checks.h"
#include "cuda/runtime.h"
#include "testing/cuda_emulator/controls.h"

namespace ilo::emulated {

template <class T>
Buffer<T> to_device(const std::vector<T>& values) {
  Buffer<T> out(values.size());
  check(
      cudaMemcpyAsync(out.data(), values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice),
      "upload");
  return out;
}
template <class T>
std::vector<T> to_host(const T* from, std::size_t count) {
  std::vector<T> out(count);
  check(cudaMemcpyAsync(out.data(), from, count * sizeof(T), cudaMemcpyDeviceToHost), "download");
  return out;
}

inline native::Random random_numbers{1};

inline int whole(int low, int high) { return static_cast<int>(random_numbers.whole(low, high)); }
inline float real(float low, float high) { return random_numbers.real(low, high); }

}  // namespace ilo::emulated
