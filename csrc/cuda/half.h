// float16 as its bits, on the device and on the host; to nearest, ties to even.
#pragma once

#include <cuda_fp16.h>

#include <cstdint>

#include "cuda/platform.h"

namespace ilo::gpu {

__host__ __device__ inline float half_to_float(std::uint16_t bits) {
  return __half2float(__half(__half_raw{bits}));
}
__host__ __device__ inline std::uint16_t float_to_half(float value) {
  return static_cast<__half_raw>(__float2half_rn(value)).x;
}

}  // namespace ilo::gpu
