// The emulator's tensor core, at the worst that is known of real ones: products are exact; 16 of
// them and the sum so far are cut to 24 bits below the largest exponent among them (towards zero),
// added, and the sum is cut to 24 bits again.
#include <cmath>
#include <cstring>
#include <limits>

#include "cuda/half.h"
#include "testing/cuda_emulator/kernel.h"

namespace ilo::emulated {

namespace {

constexpr int kLanes = 32, kK = 16;

std::uint16_t half_of(unsigned pair, int which) {
  return static_cast<std::uint16_t>(which ? pair >> 16 : pair);
}

float multiply_add(const float* x, const float* y, float sum) {
  float product[kK];
  std::int32_t largest = bits_as<std::int32_t>(sum) & 0x7fffffff;
  for (int k = 0; k < kK; ++k) {
    product[k] = x[k] * y[k];  // exact: 22 bits, far from the ends of the range
    const std::int32_t magnitude = bits_as<std::int32_t>(product[k]) & 0x7fffffff;
    largest = magnitude > largest ? magnitude : largest;
  }
  const std::int32_t exponent = largest >> 23;
  if (exponent == 255) return std::numeric_limits<float>::quiet_NaN();
  if (exponent <= 23) return 0;  // nothing but a sum that products of fp16 cannot have
  // A unit of the last of 24 bits; its inverse in two factors, which a float's range may need.
  const float unit = bits_as<float>((exponent - 23) << 23);
  const float up = 0x1p23f, scale = bits_as<float>((254 - exponent) << 23);
  std::int32_t total = static_cast<std::int32_t>(sum * scale * up);
  for (int k = 0; k < kK; ++k) total += static_cast<std::int32_t>(product[k] * scale * up);
  // At most 29 bits: cut to 24.
  int shift = 0;
  for (std::int32_t rest = std::abs(total) >> 24; rest; rest >>= 1) ++shift;
  const std::int32_t kept = std::abs(total) >> shift << shift;
  return static_cast<float>(total < 0 ? -kept : kept) * unit;
}

struct Fragments {
  float* c;
  const unsigned *a, *b;
};

void multiply(void* const* items) {
  float a[16][kK], b[8][kK];
  for (int lane = 0; lane < kLanes; ++lane) {
    const auto* f = static_cast<const Fragments*>(items[lane]);
    const int group = lane / 4, pair = lane % 4 * 2;
    for (int r = 0; r < 4; ++r)
      for (int i = 0; i < 2; ++i)
        a[group + r % 2 * 8][pair + r / 2 * 8 + i] = half_to_float(half_of(f->a[r], i));
    for (int r = 0; r < 2; ++r)
      for (int i = 0; i < 2; ++i) b[group][pair + r * 8 + i] = half_to_float(half_of(f->b[r], i));
  }
  for (int lane = 0; lane < kLanes; ++lane) {
    float* c = static_cast<const Fragments*>(items[lane])->c;
    for (int i = 0; i < 4; ++i)
      c[i] = multiply_add(a[lane / 4 + i / 2 * 8], b[lane % 4 * 2 + i % 2], c[i]);
  }
}

struct MatrixRow {
  const void* row;
  unsigned* r;
};

void load(void* const* items) {
  for (int lane = 0; lane < kLanes; ++lane)
    for (int matrix = 0; matrix < 4; ++matrix) {
      const void* row = static_cast<const MatrixRow*>(items[matrix * 8 + lane / 4])->row;
      std::memcpy(&static_cast<MatrixRow*>(items[lane])->r[matrix],
                  static_cast<const std::byte*>(row) + lane % 4 * 4, 4);
    }
}

}  // namespace

void load_matrices(unsigned (&r)[4], const void* row, const Place& place) {
  MatrixRow item{row, r};
  meet(0xffffffffu, place, &item, load);
}

void multiply_matrices(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2],
                       const Place& place) {
  Fragments item{c, a, b};
  meet(0xffffffffu, place, &item, multiply);
}

}  // namespace ilo::emulated
