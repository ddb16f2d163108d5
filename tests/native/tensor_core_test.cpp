// float16, asynchronous copies and the tensor core of the CUDA emulator.
//
//     tensor_core_test [rounds, ignored] [seed]
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "cuda/half.h"
#include "cuda/kernels/intrinsics.h"
#include "emulated_device.h"

namespace ilo::emulated {
namespace {

void test_half() {
  for (unsigned bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = half_to_float(half);
    const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
    if (exponent == 31 && mantissa) {
      native::check(std::isnan(value) && std::isnan(half_to_float(float_to_half(value))), "NaN");
      continue;
    }
    double right = exponent ? std::ldexp(1024 + mantissa, exponent - 25) : mantissa * 0x1p-24;
    if (exponent == 31) right = std::numeric_limits<double>::infinity();
    native::check(value == (bits & 0x8000 ? -right : right), "half_to_float");
    native::check(float_to_half(value) == half, "float_to_half");
    if (exponent == 31 || bits & 0x8000) continue;
    // Between this and the next: below, at and above the middle.
    const float next = exponent == 30 && mantissa == 1023
                           ? 65536.0f
                           : half_to_float(static_cast<std::uint16_t>(bits + 1));
    const float middle = (value + next) / 2;
    const auto above = static_cast<std::uint16_t>(bits + 1);
    native::check(float_to_half(middle) == (bits & 1 ? above : half) &&
                      float_to_half(std::nextafter(middle, 0.0f)) == half &&
                      float_to_half(std::nextafter(middle, 1e9f)) == above,
                  "rounding to fp16");
  }
  native::check(float_to_half(1e9f) == 0x7c00 && float_to_half(-1e-9f) == 0x8000, "ends of fp16");
}

// out: what shared memory holds at each of three moments.
__global__ void copy_in_steps(const unsigned* from, unsigned* out) {
  auto* const shared = dynamic_shared<unsigned>();
  cp_async_16(shared, from);
  cp_async_commit();
  cp_async_16(shared + 4, from + 4);
  cp_async_16(shared + 8, from + 8);
  cp_async_commit();
  const auto show = [&](int moment) {
    for (int i = 0; i < 3; ++i) out[moment * 3 + i] = shared[i * 4 + 1];
  };
  cp_async_wait<2>();
  show(0);
  cp_async_wait<1>();
  show(1);
  cp_async_wait<0>();
  show(2);
}

template <bool kSums>
__global__ void multiply_tile(const std::uint16_t* a, const std::uint16_t* b, float* c) {
  auto* const shared = dynamic_shared<std::uint16_t>();  // [16][16] of a, [16][16] of b
  for (int i = static_cast<int>(threadIdx.x); i < 256; i += 32) {
    shared[i] = a[i];
    shared[256 + i] = b[i];
  }
  __syncwarp();
  const int lane = static_cast<int>(threadIdx.x);
  unsigned fa[4], fb[4];
  ldmatrix_x4(fa, shared + lane % 16 * 16 + lane / 16 * 8);
  ldmatrix_x4(fb, shared + 256 + (lane / 16 * 8 + lane % 8) * 16 + lane / 8 % 2 * 8);
  for (int part = 0; part < 2; ++part) {
    const unsigned pair[2] = {fb[part * 2], fb[part * 2 + 1]};
    float sum[4];
    for (int i = 0; i < 4; ++i) {
      const int row = lane / 4 + i / 2 * 8, column = part * 8 + lane % 4 * 2 + i % 2;
      sum[i] = kSums ? c[row * 16 + column] : 0;
    }
    mma_m16n8k16(sum, fa, pair);
    for (int i = 0; i < 4; ++i)
      c[(lane / 4 + i / 2 * 8) * 16 + part * 8 + lane % 4 * 2 + i % 2] = sum[i];
  }
}

void test_tensor_core() {
  const Buffer<unsigned> from =
      to_device<unsigned>({10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21});
  Buffer<unsigned> out(9);
  launch(nullptr, dim3(1), dim3(1), 48, copy_in_steps, from.data(), out.data());
  const unsigned nothing = 0xffffffffu;
  native::check(to_host(out.data(), 9) == std::vector<unsigned>{nothing, nothing, nothing, 11,
                                                                nothing, nothing, 11, 15, 19},
                "copies land when they are waited for, not before");

  for (int round = 0; round < 20; ++round) {
    std::vector<std::uint16_t> a(256), b(256);
    std::vector<float> c(256);
    const int spread = round % 2 ? 8 : 0;
    const auto draw = [&] { return std::ldexp(real(-1, 1), whole(-spread, spread)); };
    for (int i = 0; i < 256; ++i) {
      a[i] = float_to_half(draw());
      b[i] = float_to_half(draw());
      c[i] = draw();
    }
    const Buffer<std::uint16_t> da = to_device(a), db = to_device(b);
    const Buffer<float> dc = to_device(c);
    launch(nullptr, dim3(1), dim3(32), 1024, multiply_tile<true>, da.data(), db.data(), dc.data());
    const std::vector<float> got = to_host(dc.data(), 256);
    for (int i = 0; i < 256; ++i) {
      double right = c[i], sizes = std::fabs(right);
      for (int k = 0; k < 16; ++k) {
        const double term = static_cast<double>(half_to_float(a[i / 16 * 16 + k])) *
                            half_to_float(b[i % 16 * 16 + k]);
        right += term;
        sizes += std::fabs(term);
      }
      native::check(std::fabs(got[i] - right) <= 18 * 0x1p-23 * sizes,
                    "a product of the tensor core");
    }
  }

  // Where it cuts: an addend below 24 bits of the largest is lost, whatever its sign.
  const auto one = [](float sum, std::vector<std::pair<float, float>> terms) {
    std::vector<std::uint16_t> a(256), b(256);
    std::vector<float> c(256, sum);
    for (std::size_t k = 0; k < terms.size(); ++k) {
      a[k] = float_to_half(terms[k].first);
      b[k] = float_to_half(terms[k].second);
    }
    const Buffer<std::uint16_t> da = to_device(a), db = to_device(b);
    const Buffer<float> dc = to_device(c);
    launch(nullptr, dim3(1), dim3(32), 1024, multiply_tile<true>, da.data(), db.data(), dc.data());
    return to_host(dc.data(), 1)[0];
  };
  const std::vector<std::pair<float, float>> tiny(16, {0x1p-12f, 0x1p-12f});
  native::check(one(1, tiny) == 1 && one(-1, tiny) == -1, "terms below the sum are cut");
  native::check(one(0, tiny) == 0x1p-20f, "terms of one size");
  native::check(one(1, {{0x1p-12f, -0x1p-11f}}) == 1 - 0x1p-23f, "the last bit");
  native::check(one(0x1p24f - 1, {{1, 1}, {1, 1}}) == 0x1p24f, "the sum is cut");
  native::check(std::isnan(one(0, {{std::numeric_limits<float>::infinity(), 1}})), "infinity");
}

void run(native::Random&, native::Index) {
  random_numbers = native::Random(native::seed);
  test_half();
  test_tensor_core();
}

}  // namespace
}  // namespace ilo::emulated

int main(int argc, char** argv) { return native::run_test(argc, argv, ilo::emulated::run); }
