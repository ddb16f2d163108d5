// The emulator's cuda_fp16.h: what the engine uses of float16.
#pragma once

#include <cstdint>

#include "cuda_runtime.h"

namespace ilo::emulated {

struct __half_raw {
  unsigned short x;
};
struct __half {
  unsigned short bits;

  explicit __half(__half_raw raw) : bits(raw.x) {}
  operator __half_raw() const { return {bits}; }
};

inline float __half2float(__half half) {
  const unsigned bits = half.bits;
  const std::uint32_t magnitude = bits & 0x7fffu;
  // Its exponent is 112 too small for a float; subnormal numbers come right as well.
  std::uint32_t out = bits_as<std::uint32_t>(bits_as<float>(magnitude << 13) * 0x1p112f);
  if (magnitude >= 0x7c00u) out = 0x7f800000u | magnitude << 13;
  return bits_as<float>(out | (bits & 0x8000u) << 16);
}
inline __half __float2half_rn(float value) {  // to nearest, ties to even
  const std::uint32_t bits = bits_as<std::uint32_t>(value), magnitude = bits & 0x7fffffffu;
  const std::uint32_t sign = bits >> 16 & 0x8000u;
  std::uint32_t out;
  if (magnitude > 0x7f800000u)
    out = 0x7fff;  // NaN
  else if (magnitude >= 0x477ff000u)
    out = 0x7c00;                    // rounds to infinity
  else if (magnitude < 0x38800000u)  // subnormal: the addition rounds where fp16 ends
    out = bits_as<std::uint32_t>(bits_as<float>(magnitude) + 0.5f) - 0x3f000000u;
  else
    out = (magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1u)) >> 13;
  return __half(__half_raw{static_cast<unsigned short>(sign | out)});
}

}  // namespace ilo::emulated
