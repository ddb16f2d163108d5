// Rounds rows once, and gathers chosen ones into panels.
#include "knn/rounded_rows.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/arithmetic.h"
#include "core/errors.h"
#include "knn/prefetch.h"
#include "knn/random.h"

namespace ilo {

namespace {

constexpr std::int64_t kLine = 64;
// Rows that are farther out are drawn in to here, or their squares would leave float32: they remain
// far from all others, and see each other by direction alone.
constexpr double kFar = 0x1p40;

// Directions in which rows vary most, or nearly: the span of a few random rows, multiplied once by
// the covariance of more of them (subspace iteration; Halko, Martinsson and Tropp, SIAM Review
// 2011, section 4.5).
class Directions {
 public:
  Directions(std::int64_t d, std::int64_t count) : d_(d), count_(count), values_(d * count) {}

  // sample[n][d]; its first `count` rows are where it starts.
  void find(const std::vector<double>& sample, std::int64_t n, Team& team) {
    for (std::int64_t c = 0; c < count_; ++c)
      for (std::int64_t k = 0; k < d_; ++k) values_[k * count_ + c] = sample[c * d_ + k];
    orthonormalise();
    std::vector<double> shares(n * count_, 0.0);
    constexpr std::int64_t kChunk = 16;
    team.run(ceil_div(n, kChunk), [&](std::int64_t t, int) {
      for (std::int64_t s = t * kChunk; s < std::min(n, (t + 1) * kChunk); ++s)
        for (std::int64_t k = 0; k < d_; ++k)
          add(sample[s * d_ + k], &values_[k * count_], &shares[s * count_]);
    });
    std::fill(values_.begin(), values_.end(), 0.0);
    team.run(ceil_div(d_, kChunk), [&](std::int64_t t, int) {
      for (std::int64_t s = 0; s < n; ++s)
        for (std::int64_t k = t * kChunk; k < std::min(d_, (t + 1) * kChunk); ++k)
          add(sample[s * d_ + k], &shares[s * count_], &values_[k * count_]);
    });
    orthonormalise();
  }

  void copy(std::int64_t direction, double* out) const {
    for (std::int64_t k = 0; k < d_; ++k) out[k] = values_[k * count_ + direction];
  }

 private:
  void add(double factor, const double* __restrict from, double* __restrict to) const {
    for (std::int64_t c = 0; c < count_; ++c) to[c] += factor * from[c];
  }

  // One direction after the other, twice; zero where nothing is left.
  void orthonormalise() {
    std::vector<double> rows(values_.size());
    for (std::int64_t c = 0; c < count_; ++c) copy(c, &rows[c * d_]);
    const auto dot = [&](std::int64_t a, std::int64_t b) {
      double sum[8] = {};
      const double *x = &rows[a * d_], *y = &rows[b * d_];
      std::int64_t k = 0;
      for (; k + 8 <= d_; k += 8)
        for (int l = 0; l < 8; ++l) sum[l] += x[k + l] * y[k + l];
      for (; k < d_; ++k) sum[0] += x[k] * y[k];
      for (int l = 1; l < 8; ++l) sum[0] += sum[l];
      return sum[0];
    };
    for (std::int64_t c = 0; c < count_; ++c) {
      double* v = &rows[c * d_];
      const double before = std::sqrt(dot(c, c));
      for (int pass = 0; pass < 2; ++pass)
        for (std::int64_t b = 0; b < c; ++b) {
          const double share = dot(c, b), *w = &rows[b * d_];
          for (std::int64_t k = 0; k < d_; ++k) v[k] -= share * w[k];
        }
      const double norm = std::sqrt(dot(c, c));
      for (std::int64_t k = 0; k < d_; ++k)
        values_[k * count_ + c] = v[k] = norm > 1e-6 * before ? v[k] / norm : 0;
    }
  }

  std::int64_t d_, count_;
  std::vector<double> values_;  // [value][direction]
};

}  // namespace

RoundedRows::RoundedRows(const Kernels& kernels, std::int64_t count, std::int64_t d)
    : kernels_(kernels),
      is_narrow_(kernels.fallback != nullptr),
      count_(count),
      d_(d),
      row_bytes_(ceil_div(d * (is_narrow_ ? 2 : 4), kLine) * kLine),
      rows_(count * row_bytes_),
      half_(count) {}

RoundedRows::RoundedRows(const Rows& rows, const Frame& frame, const Kernels& kernels, Team& team)
    : RoundedRows(kernels, rows.n_columns(), rows.d()) {
  constexpr std::int64_t kChunk = 64;
  struct Scratch {
    std::vector<double> u;
    std::vector<float> y;
  };
  std::vector<Scratch> scratch(team.size());
  for (Scratch& s : scratch) s.u.resize(d_), s.y.resize(d_);
  team.run(ceil_div(count_, kChunk), [&](std::int64_t chunk, int worker) {
    Scratch& s = scratch[worker];
    for (std::int64_t g = chunk * kChunk; g < std::min(count_, (chunk + 1) * kChunk); ++g) {
      rows.load(g, s.u.data());
      const auto round = [&](double scale) {
        return kernels.round_row(s.u.data(), frame.centre.data(), scale, d_, s.y.data());
      };
      RowSquares squares = round(frame.scale);
      if (!(squares.source <= kFar * kFar)) {
        double largest = 0;
        for (std::int64_t k = 0; k < d_; ++k)
          largest = std::max(largest, std::fabs(s.u[k] - frame.centre[k]));
        const double near_scale = 1 / largest;  // squares stay in range
        squares = round(near_scale * kFar / std::sqrt(round(near_scale).source));
      }
      if (!(squares.rounded <= 2 * kFar * kFar)) throw RowsChanged{};  // all were finite
      half_[g] = static_cast<float>(0.5 * squares.rounded);
      store(g, s.y.data());
    }
  });
}

RoundedRows::RoundedRows(const RoundedRows& rows, std::int64_t directions, std::uint64_t seed,
                         Team& team)
    : RoundedRows(rows.kernels_, rows.count_, directions) {
  const std::int64_t n_sample = std::max<std::int64_t>(2048, directions);
  std::vector<double> sample(n_sample * rows.d_), direction(rows.d_);
  Random random(seed);
  for (std::int64_t s = 0; s < n_sample; ++s) {
    double* y = &sample[s * rows.d_];
    const std::int64_t row = random.below(count_);
    rows.read(row, y);
    // All equally long: a row far out is one among many.
    const double norm = std::sqrt(2.0 * rows.half_[row]);
    for (std::int64_t k = 0; norm > 0 && k < rows.d_; ++k) y[k] /= norm;
  }
  Directions basis(rows.d_, directions);
  basis.find(sample, n_sample, team);
  const std::int64_t width = kernels_.panel, stride = padded(directions) + 16;
  RoundedRows rounded(kernels_, directions, rows.d_);
  std::vector<double> centre(std::max(rows.d_, directions), 0.0);
  std::vector<float> y(rows.d_);
  std::vector<std::int32_t> ids(directions);
  for (std::int64_t p = 0; p < directions; ++p) {
    basis.copy(p, direction.data());
    kernels_.round_row(direction.data(), centre.data(), 1, rows.d_, y.data());
    rounded.store(p, y.data());
    ids[p] = static_cast<std::int32_t>(p);
  }
  Buffer<std::byte> packed(rounded.packed_bytes(directions));
  std::vector<float> unused(padded(directions));
  rounded.gather(ids.data(), directions, packed.data(), unused.data());

  constexpr std::int64_t kPanels = 4;
  struct Scratch {
    Buffer<std::byte> panels;
    Buffer<float> tile;
    std::vector<float> half, y;
    std::vector<double> u;
    std::vector<std::int32_t> ids;
  };
  const std::int64_t chunk_rows = kPanels * width;
  std::vector<Scratch> scratch(team.size());
  for (Scratch& s : scratch) {
    s.panels = Buffer<std::byte>(rows.packed_bytes(chunk_rows));
    s.tile = Buffer<float>(chunk_rows * stride);
    s.half.resize(chunk_rows), s.y.resize(directions), s.u.resize(directions);
    s.ids.resize(chunk_rows);
  }
  team.run(ceil_div(count_, chunk_rows), [&](std::int64_t chunk, int worker) {
    Scratch& s = scratch[worker];
    const std::int64_t begin = chunk * chunk_rows, size = std::min(chunk_rows, count_ - begin);
    for (std::int64_t r = 0; r < size; ++r) s.ids[r] = static_cast<std::int32_t>(begin + r);
    rows.gather(s.ids.data(), size, s.panels.data(), s.half.data());
    kernels_.product(s.panels.data(), ceil_div(size, width), packed.data(),
                     padded(directions) / width, rows.d_, s.tile.data(), stride);
    for (std::int64_t r = 0; r < size; ++r) {
      std::copy_n(s.tile.data() + r * stride, directions, s.u.begin());
      const RowSquares squares =
          kernels_.round_row(s.u.data(), centre.data(), 1, directions, s.y.data());
      half_[begin + r] = static_cast<float>(0.5 * squares.rounded);
      store(begin + r, s.y.data());
    }
  });
}

void RoundedRows::store(std::int64_t row, const float* y) {
  std::byte* to = rows_.data() + row * row_bytes_;
  std::memset(to + row_bytes_ - kLine, 0, kLine);
  if (!is_narrow_) {
    std::memcpy(to, y, d_ * 4);
    return;
  }
  auto* out = reinterpret_cast<std::uint16_t*>(to);
  for (std::int64_t k = 0; k < d_; ++k) {  // exact: the lower half of the bits is zero
    std::uint32_t bits;
    std::memcpy(&bits, &y[k], 4);
    out[k] = static_cast<std::uint16_t>(bits >> 16);
  }
}

void RoundedRows::read(std::int64_t row, double* out) const {
  for (std::int64_t k = 0; k < d_; ++k) {
    std::uint32_t bits = 0;
    if (is_narrow_) {
      std::uint16_t upper;
      std::memcpy(&upper, stored(row) + 2 * k, 2);
      bits = static_cast<std::uint32_t>(upper) << 16;
    } else {
      std::memcpy(&bits, stored(row) + 4 * k, 4);
    }
    float value;
    std::memcpy(&value, &bits, 4);
    out[k] = value;
  }
}

std::int64_t RoundedRows::padded(std::int64_t rows) const {
  return ceil_div(rows, kernels_.panel) * kernels_.panel;
}

std::int64_t RoundedRows::packed_bytes(std::int64_t rows) const {
  return ceil_div(rows, kernels_.panel) * kernels_.panel_bytes(d_);
}

void RoundedRows::gather(const std::int32_t* ids, std::int64_t count, std::byte* panels,
                         float* half) const {
  const std::int64_t width = kernels_.panel, bytes = kernels_.panel_bytes(d_);
  std::vector<const void*> from(width);
  for (std::int64_t r = 0; r < std::min(width, count); ++r) prefetch(stored(ids[r]), row_bytes_);
  for (std::int64_t begin = 0; begin < count; begin += width) {
    const std::int64_t rows = std::min(width, count - begin);
    for (std::int64_t r = begin + width; r < std::min(count, begin + 2 * width); ++r)
      prefetch(stored(ids[r]), row_bytes_);
    for (std::int64_t r = 0; r < rows; ++r) {
      half[begin + r] = half_[ids[begin + r]];
      from[r] = stored(ids[begin + r]);
    }
    for (std::int64_t r = rows; r < width; ++r)
      half[begin + r] = std::numeric_limits<float>::infinity();
    kernels_.pack_rows(from.data(), static_cast<int>(rows), d_, panels + begin / width * bytes);
  }
}

}  // namespace ilo
