// The bfloat16 filter: values are rounded to the nearest bfloat16, and to zero where that would be
// subnormal, since the instructions take subnormals for zero: so they are part of the residual.
//
// Needs before inclusion: kernels.h, <cmath>, <cstring>.

namespace {

// |z| < 2^126: no rounding overflows.
inline float round_to_filter(float z) {
  std::uint32_t bits;
  std::memcpy(&bits, &z, 4);
  bits = (bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u;
  bits &= 0u - static_cast<std::uint32_t>((bits & 0x7f800000u) != 0);  // vectorises
  float out;
  std::memcpy(&out, &bits, 4);
  return out;
}

// Two neighbouring values as the instructions take them: the first in the lower half.
inline std::uint32_t pair(float first, float second) {
  std::uint32_t low, high;
  std::memcpy(&low, &first, 4);
  std::memcpy(&high, &second, 4);
  return (low >> 16) | (high & 0xffff0000u);
}

}  // namespace
