// Makes random rows of a kind: near-duplicates, outliers, values at the ends of their range, ...
#include "random_rows.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace native {

namespace {

double from_half(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double size =
      exponent ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24);
  return bits & 0x8000 ? -size : size;
}
// Any half that is near: which one does not matter, as long as both sides mean the same.
std::uint16_t to_half(double value) {
  const double size = std::min(std::fabs(value), 65504.0);
  int exponent = size < 0x1p-14 ? -14 : std::ilogb(size);
  int fraction = static_cast<int>(std::ldexp(size, 10 - exponent));
  const int bits = size < 0x1p-14 ? fraction : (exponent + 15) << 10 | (fraction & 1023);
  return static_cast<std::uint16_t>(bits | (value < 0 ? 0x8000 : 0));
}

Matrix stored(const std::vector<double>& values, Index n, Index d, DType dtype) {
  Matrix m;
  m.n = n, m.d = d, m.dtype = dtype;
  const std::size_t size = ilo::size_of(dtype);
  m.bytes.resize(values.size() * size);
  m.values.resize(values.size());
  for (std::size_t v = 0; v < values.size(); ++v) {
    std::byte* to = &m.bytes[v * size];
    if (dtype == DType::f64) {
      m.values[v] = values[v];
      std::memcpy(to, &m.values[v], 8);
      continue;
    }
    if (dtype == DType::f16) {
      const std::uint16_t half = to_half(values[v]);
      m.values[v] = from_half(half);
      std::memcpy(to, &half, 2);
      continue;
    }
    auto single = static_cast<float>(values[v]);
    std::uint32_t bits;
    std::memcpy(&bits, &single, 4);
    if (dtype == DType::bf16) {
      bits &= 0xffff0000u;
      const auto high = static_cast<std::uint16_t>(bits >> 16);
      std::memcpy(to, &high, 2);
    } else {
      std::memcpy(to, &bits, 4);
    }
    std::memcpy(&single, &bits, 4);
    m.values[v] = single;
  }
  return m;
}

}  // namespace

const std::vector<const char*> kinds = {"isotropic",
                                        "common component",
                                        "massive dimensions",
                                        "duplicates",
                                        "identical",
                                        "ulps of bf16",
                                        "ulps of f32",
                                        "ulps of f64",
                                        "grid",
                                        "clusters",
                                        "tight clusters",
                                        "one outlier",
                                        "flushed",
                                        "tiny",
                                        "huge"};

Matrix make(Random& random, const std::string& kind, Index n, Index d, DType dtype) {
  std::vector<double> values(n * d), common(d);
  for (double& v : values) v = random.normal();
  for (double& v : common) v = random.normal();
  const auto at = [&](Index i, Index k) -> double& { return values[i * d + k]; };
  const auto change = [&](auto&& f) {
    for (Index i = 0; i < n; ++i)
      for (Index k = 0; k < d; ++k) at(i, k) = f(at(i, k), i, k);
  };
  // Every row is made of one of a few points.
  std::vector<double> points(5 * d);
  for (double& v : points) v = random.normal();
  std::vector<Index> point(n);
  for (Index& p : point) p = random.whole(0, 4);
  const auto near = [&](Index i, Index k) { return points[point[i] * d + k]; };
  const auto ulps = [&](int bits) {
    change([&](double, Index i, Index k) {
      return near(i, k) * (1 + std::ldexp(static_cast<double>(random.whole(-2, 2)), 1 - bits));
    });
  };
  if (kind == "common component") {
    const double size = random.of({1e2, 1e4, 1e6});
    change([&](double v, Index, Index k) { return v + size * common[k]; });
  } else if (kind == "massive dimensions") {
    change([&](double v, Index, Index k) { return k < 2 ? 400 * v : v; });
  } else if (kind == "duplicates") {
    for (Index i = 1; i < n; ++i)
      if (random.whole(0, 1)) std::copy_n(&values[random.whole(0, i - 1) * d], d, &at(i, 0));
  } else if (kind == "identical") {
    change([&](double, Index, Index k) { return common[k] + 0.25; });
  } else if (kind == "ulps of bf16") {
    ulps(8);
  } else if (kind == "ulps of f32") {
    ulps(24);
  } else if (kind == "ulps of f64") {
    ulps(53);
  } else if (kind == "grid") {
    change([&](double, Index, Index) { return static_cast<double>(random.whole(-2, 2)) + 0.5; });
  } else if (kind == "clusters" || kind == "tight clusters") {
    const double spread = kind == "clusters" ? 1e-2 : 1e-7;
    change([&](double v, Index i, Index k) { return near(i, k) + spread * v; });
  } else if (kind == "one outlier") {
    change([&](double v, Index i, Index) { return i == n / 2 ? 1e4 * v : v; });
  } else if (kind == "flushed") {  // below what bf16 units count, but for one row
    change([&](double v, Index i, Index) {
      return i == n / 2 ? v : std::ldexp(v, static_cast<int>(-random.whole(110, 126)));
    });
  } else if (kind == "tiny" || kind == "huge") {
    const double size = kind == "tiny" ? 1e-30 : 1e30;
    change([&](double v, Index, Index) { return v * size; });
  }
  Matrix m = stored(values, n, d, dtype);
  // What a narrow type rounds to nothing has no direction.
  for (Index i = 0; i < n; ++i)
    if (std::all_of(m.row(i), m.row(i) + d, [](double v) { return v == 0; })) at(i, 0) = 1;
  return stored(values, n, d, dtype);
}

}  // namespace native
