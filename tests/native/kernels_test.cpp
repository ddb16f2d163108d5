// The filters of every instruction set, entry by entry, against sums in float64: no farther from
// them than the roundings and the underflow that the kernels state, on values that drive the error
// there.
//
//     kernels_test [rounds] [seed]
#include "knn/kernels/kernels.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "checks.h"
#include "knn/buffer.h"
#include "simd/dispatch.h"
#include "testing/amx_bf16_emulated.h"

namespace native {
namespace {

constexpr float kJustBelowOne = 0.99609375f;  // the next below 1 in bfloat16

using Row = std::vector<float>;  // values that bfloat16 holds, and so every filter

struct Pair {
  Row a, b;
};

// Eight bits of a normal number: a bfloat16.
float random_value(Random& random) {
  const float sign = random.whole(0, 1) ? 1.0f : -1.0f;
  return sign * std::ldexp(static_cast<float>(random.whole(128, 255)),
                           static_cast<int>(random.whole(-20, -4)));
}

// 1 + ulp, then products of just less than `part` of that unit: sums of that size lose each of
// them, to nearest if part is a half, and also where rounding to odd keeps odd sums (part is 1).
Pair swallowed(Index d, float part) {
  Pair out{Row(d, 0.0f), Row(d, 0.0f)};
  for (Index k = 2; k < d; k += 2) {  // one of each pair of terms
    out.a[k] = kJustBelowOne * part * 0x1p-11f;
    out.b[k] = 0x1p-12f;
  }
  out.a[0] = out.b[0] = 1;
  if (d > 1) out.a[1] = 0x1p-12f, out.b[1] = 0x1p-11f;
  return out;
}

Pair make_pair(Random& random, const std::string& kind, Index d) {
  if (kind == "swallowed by nearest") return swallowed(d, 0.5f);
  if (kind == "swallowed by odd") return swallowed(d, 1.0f);
  Pair out{Row(d), Row(d)};
  for (Index k = 0; k < d; ++k) {
    if (kind == "subnormal products") {
      out.a[k] = 0x1.fep-64f;
      out.b[k] = 0x1.fep-64f;
    } else if (kind == "subnormal sums") {
      out.a[k] = 0x1p-63f;
      out.b[k] = k % 2 ? -0x1p-63f : 0x1.8p-63f;
    } else {
      out.a[k] = random_value(random);
      out.b[k] = random_value(random);
      if (kind == "one sign") out.a[k] = std::fabs(out.a[k]), out.b[k] = std::fabs(out.b[k]);
    }
  }
  return out;
}

ilo::Buffer<std::byte> packed(const ilo::Kernels& kernels, const std::vector<Row>& rows, Index d) {
  const Index panels = (static_cast<Index>(rows.size()) + kernels.panel - 1) / kernels.panel;
  ilo::Buffer<std::byte> out(panels * kernels.panel_bytes(d));
  for (Index p = 0; p < panels; ++p) {
    const Index first = p * kernels.panel;
    const int count = std::min<int>(kernels.panel, static_cast<int>(rows.size() - first));
    std::vector<float> y(count * d);
    for (int r = 0; r < count; ++r) std::copy_n(rows[first + r].begin(), d, &y[r * d]);
    kernels.pack_panel(y.data(), d, count, d, out.data() + p * kernels.panel_bytes(d));
  }
  return out;
}

// Rows as they rest in memory give the same panels as rows of float32.
void check_stored(Random& random, const ilo::Kernels& kernels, Index d) {
  const bool is_narrow = kernels.fallback != nullptr;
  const Index bytes = (d * (is_narrow ? 2 : 4) + 63) / 64 * 64;
  for (const int count : {1, kernels.panel - 1, kernels.panel}) {
    std::vector<Row> rows(count);
    ilo::Buffer<std::byte> memory(bytes * count), panel(kernels.panel_bytes(d));
    std::memset(memory.data(), 0, bytes * count);
    std::vector<const void*> stored(kernels.panel);
    for (int r = 0; r < count; ++r) {
      rows[r] = make_pair(random, "any", d).a;
      std::byte* at = memory.data() + r * bytes;
      stored[r] = at;
      for (Index k = 0; k < d; ++k) {  // of bfloat16 the lower half of the bits is zero
        const auto* bits = reinterpret_cast<const std::byte*>(&rows[r][k]);
        if (is_narrow) std::memcpy(at + 2 * k, bits + 2, 2);
        if (!is_narrow) std::memcpy(at + 4 * k, bits, 4);
      }
    }
    std::memset(panel.data(), 0xff, kernels.panel_bytes(d));
    kernels.pack_rows(stored.data(), count, d, panel.data());
    const auto wanted = packed(kernels, rows, d);
    const Index used = is_narrow ? kernels.panel_bytes(d) : d * kernels.panel * 4;
    check(std::memcmp(panel.data(), wanted.data(), used) == 0, "a panel of stored rows");
  }
}

// The same two rows all over a block of 2 x 2 panels, the last of them not full. Returns the error
// in units of 2^-24 of the sum of magnitudes.
double error_of(const ilo::Kernels& kernels, const Pair& pair, Index d) {
  const Index n = 2 * kernels.panel, rows = n - 3;
  const auto a = packed(kernels, std::vector<Row>(rows, pair.a), d);
  const auto b = packed(kernels, std::vector<Row>(rows, pair.b), d);
  ilo::Buffer<float> tile(n * n);
  kernels.product(a.data(), 2, b.data(), 2, d, tile.data(), n);
  double exact = 0, magnitude = 0;  // products of floats are exact in float64
  for (Index k = 0; k < d; ++k) {
    const double product = static_cast<double>(pair.a[k]) * pair.b[k];
    exact += product;
    magnitude += std::fabs(product);
  }
  const float got = tile.data()[0];
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j)
      check(tile.data()[i * n + j] == (i < rows && j < rows ? got : 0.0f),
            "an entry depends on its place");
  const double error = std::fabs(got - exact), m = static_cast<double>(kernels.roundings(d));
  const double gamma = m * 0x1p-24 / (1 - m * 0x1p-24);
  check(error <= (gamma + 0x1p-42) * magnitude + static_cast<double>(d) * kernels.underflow,
        "error " + std::to_string(error) + " of " + std::to_string(magnitude));
  return error / magnitude * 0x1p24;
}

// Different rows, so that an entry that goes to another's place is seen.
void check_places(Random& random, const ilo::Kernels& kernels, Index d) {
  const Index n = 2 * kernels.panel;
  std::vector<Row> a(n), b(n);
  for (Index i = 0; i < n; ++i) {
    Pair pair = make_pair(random, "any", d);
    a[i] = pair.a, b[i] = pair.b;
  }
  const auto rows = packed(kernels, a, d), columns = packed(kernels, b, d);
  ilo::Buffer<float> tile(n * n);
  kernels.product(rows.data(), 2, columns.data(), 2, d, tile.data(), n);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j) {
      double exact = 0, magnitude = 0;
      for (Index k = 0; k < d; ++k) {
        exact += static_cast<double>(a[i][k]) * b[j][k];
        magnitude += std::fabs(static_cast<double>(a[i][k]) * b[j][k]);
      }
      check(std::fabs(tile.data()[i * n + j] - exact) <= 1e-4 * magnitude,
            "row " + std::to_string(i) + " and column " + std::to_string(j));
    }
}

void one_level(Random& random, const ilo::Kernels& kernels, Index rounds) {
  const std::string name = kernels.name;
  const bool two_units = name == "neon_bf16";  // an addition: BFMMLA rounds to odd
  double worst = 0;
  for (const Index d : std::initializer_list<Index>{1, 2, 3, 4, 5, 8, 31, 160, 320, 323, 700})
    for (const char* kind : {"any", "one sign", "swallowed by nearest", "swallowed by odd",
                             "subnormal products", "subnormal sums"})
      for (Index round = 0; round < (kind[0] == 'a' || kind[0] == 'o' ? rounds : 1); ++round) {
        doing = name + ", " + kind + ", d=" + std::to_string(d);
        const double error = error_of(kernels, make_pair(random, kind, d), d);
        if (d == 320 && kind[1] == 'w')
          worst = std::max(worst, error / static_cast<double>(kernels.roundings(d)));
      }
  doing = name + ", places";
  for (const Index d : {1, 6, 67}) check_places(random, kernels, d);
  doing = name + ", stored rows";
  for (const Index d : {1, 2, 3, 31, 32, 33, 64, 67}) check_stored(random, kernels, d);
  doing = name + ", how tight";
  // 320 terms are one chunk of neon_bf16, and "swallowed by odd" loses nearly two units in each of
  // its additions: a bound with one unit for each would not hold.
  if (two_units) check(worst > 0.9, "the worst error is far from the bound");
  std::printf("%s: right; swallowed terms reach %.2f of the bound at d=320\n", name.c_str(), worst);
}

void run(Random& random, Index rounds) {
  std::vector<std::string> names = ilo::available_levels();
  names.emplace_back("amx_bf16_emulated");
  for (const std::string& name : names)
    one_level(random, ilo::choose_testing_kernels(name), rounds);
}

}  // namespace
}  // namespace native

int main(int argc, char** argv) { return native::run_test(argc, argv, native::run); }
