// Reads rows: norms, hashes, centre, duplicates, packing.
#include "knn/rows.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <mutex>
#include <numeric>
#include <utility>

#include "core/arithmetic.h"
#include "core/errors.h"

namespace ilo {

namespace {

constexpr std::int64_t kChunk = 256;  // rows a task

// The power of two that brings `largest` into [1, 2).
// (2^1023 at most, since 2^1024 is infinite: a subnormal then ends at 2^-51 or more.)
double bring_to_one(double largest) {
  return std::ldexp(1.0, std::min(1023, -std::ilogb(largest)));
}

double largest_magnitude(const double* u, std::int64_t d) {
  double largest = 0;
  for (std::int64_t k = 0; k < d; ++k) largest = std::max(largest, std::fabs(u[k]));
  return largest;
}

}  // namespace

Rows::Rows(const MatrixView& x, std::int64_t n_base, Metric metric, const Kernels& kernels,
           Team& team)
    : x_(x), n_base_(n_base), metric_(metric), kernels_(kernels) {
  hashes_.resize(n());
  if (x_.dtype == DType::f64) find_multipliers(team);
  measure(team);
  find_duplicates(team);
}

// Squares of float32 and narrower never leave float64's range; those of float64 may.
void Rows::find_multipliers(Team& team) {
  if (metric_ == Metric::cosine) multiplier_.assign(n(), 1.0);
  std::vector<double> largest(team.size(), 0.0);
  std::vector<std::vector<double>> scratch(team.size(), std::vector<double>(d()));
  team.run(ceil_div(n(), kChunk), [&](std::int64_t chunk, int worker) {
    double* u = scratch[worker].data();
    for (std::int64_t i = chunk * kChunk; i < std::min(n(), (chunk + 1) * kChunk); ++i) {
      raw(i, 1, u);
      if (!kernels_.all_finite(u, d())) continue;  // measure() will say so
      const double m = largest_magnitude(u, d());
      largest[worker] = std::max(largest[worker], m);
      if (!multiplier_.empty() && m > 0 && (m > 0x1p400 || m < 0x1p-400))
        multiplier_[i] = bring_to_one(m);
    }
  });
  const double m = *std::max_element(largest.begin(), largest.end());
  if (metric_ == Metric::euclidean && m > 0 && (m > 0x1p400 || m < 0x1p-400))
    global_multiplier_ = bring_to_one(m);
}

// Norms, hashes and the mean in one pass. Sums of fixed slices, added in order: the same centre for
// any number of threads. (The neighbours do not depend on it. How many rows are certified at once
// may, by a few in ten thousand, with the order in which threads raise thresholds.)
void Rows::measure(Team& team) {
  std::mutex mutex;
  std::int64_t bad_row = n();  // the first, whichever thread meets one
  bool bad_is_zero = false;
  const auto bad = [&](std::int64_t i, bool zero) {
    std::lock_guard lock(mutex);
    if (i < bad_row) bad_row = i, bad_is_zero = zero;
  };

  if (metric_ == Metric::cosine) norm_.assign(n(), 1.0);
  const std::int64_t slice = std::max<std::int64_t>(kChunk, ceil_div(n(), 64));
  const std::int64_t n_slices = ceil_div(n(), slice);
  std::vector<std::vector<double>> sums(n_slices, std::vector<double>(d(), 0.0));
  // The row as it was read, and as it is after its division.
  std::vector<std::vector<double>> scratch(team.size(), std::vector<double>(2 * d()));
  std::vector<double> max_norm(team.size(), 0.0);
  team.run(n_slices, [&](std::int64_t s, int worker) {
    double* const read = scratch[worker].data();
    double* const u = metric_ == Metric::cosine ? read + d() : read;
    double* sum = sums[s].data();
    const std::int64_t end = std::min(n(), (s + 1) * slice);
    for (std::int64_t i = s * slice; i < end && !team.cancelled(); ++i) {
      const double multiplier = multiplier_.empty() ? global_multiplier_ : multiplier_[i];
      raw(i, multiplier, read);
      if (!kernels_.all_finite(read, d())) {
        bad(i, false);
        continue;
      }
      double norm = std::sqrt(kernels_.sum_of_squares(read, d()));
      if (metric_ == Metric::cosine) {
        if (norm == 0) {
          bad(i, true);
          continue;
        }
        norm_[i] = norm;
        // As load_row() divides, but what was read above.
        kernels_.load_row(read, static_cast<int>(DType::f64), sizeof(double), d(), 1, norm, u);
        norm = 1.0;
      }
      if (!std::isfinite(norm)) throw RowsChanged{};  // since find_multipliers()
      max_norm[worker] = std::max(max_norm[worker], norm);
      hashes_[i] = kernels_.hash_row(u, d());
      kernels_.accumulate(u, d(), sum);
    }
  });
  if (bad_row < n()) {
    if (bad_is_zero)
      throw BadRow(bad_row,
                   "is a zero vector, which has no direction: metric='cosine' needs non-zero rows; "
                   "drop the row or use metric='euclidean'");
    double* u = scratch[0].data();
    raw(bad_row, 1, u);
    std::int64_t column = 0;
    while (column < d() && std::isfinite(u[column])) ++column;
    if (column == d()) throw BadRow(bad_row, kRowChanged);
    throw BadRow(bad_row, text("holds ", std::isnan(u[column]) ? "NaN" : "infinity", " (column ",
                               column, "): every value must be finite"));
  }
  frame_.centre.assign(d(), 0.0);
  for (const auto& sum : sums)
    for (std::int64_t k = 0; k < d(); ++k) frame_.centre[k] += sum[k];
  for (double& c : frame_.centre) c /= static_cast<double>(n());
  // |u - c| <= 2 max|u|: after scaling at most 1, so no product or sum can overflow float32.
  max_norm_ = *std::max_element(max_norm.begin(), max_norm.end());
  frame_.scale = max_norm_ > 0 ? 0.25 * bring_to_one(max_norm_) : 1.0;
}

std::uint64_t Rows::fingerprint(std::int64_t begin, std::int64_t end) const {
  std::uint64_t out;
  std::memcpy(&out, &global_multiplier_, sizeof out);  // no part of u
  for (std::int64_t row = begin; row < end; ++row) out = mix(out, hashes_[row]);
  return out;
}

void Rows::check_unscaled() const {
  if (global_multiplier_ != 1)
    throw InvalidArgument(text(
        "the largest value of a block of X is about ", 1 / global_multiplier_,
        ", beyond 2^400 or below 2^-400: squares leave the range of float64, and blocks cannot be "
        "compared; scale X, or use backend='exact'"));
}

void Rows::check_unchanged(Team& team) const {
  std::atomic<std::int64_t> changed{n()};  // the first, whichever thread meets one
  std::vector<std::vector<double>> scratch(team.size(), std::vector<double>(d()));
  team.run(ceil_div(n(), kChunk), [&](std::int64_t chunk, int worker) {
    double* u = scratch[worker].data();
    for (std::int64_t i = chunk * kChunk; i < std::min(n(), (chunk + 1) * kChunk); ++i) {
      load_row(i, u);
      if (kernels_.hash_row(u, d()) == hashes_[i]) continue;
      std::int64_t first = changed;
      while (i < first && !changed.compare_exchange_weak(first, i)) {
      }
    }
  });
  if (changed < n()) throw BadRow(changed, kRowChanged);
}

void Rows::find_duplicates(Team& team) {
  using Entry = std::pair<std::uint64_t, std::int64_t>;
  const std::int64_t n_rows = n();
  // By hash, in buckets of its highest bits: each is sorted by itself.
  int bits = 0;
  while (bits < 16 && (n_rows >> bits) > 4096) ++bits;
  const auto bucket = [bits](std::uint64_t h) { return bits ? h >> (64 - bits) : 0; };
  std::vector<std::int64_t> begin((std::size_t{1} << bits) + 1, 0);
  for (const std::uint64_t h : hashes_) ++begin[bucket(h) + 1];
  std::partial_sum(begin.begin(), begin.end(), begin.begin());
  std::vector<Entry> order(n_rows);
  {
    std::vector<std::int64_t> at(begin.begin(), begin.end() - 1);
    for (std::int64_t row = 0; row < n_rows; ++row)
      order[at[bucket(hashes_[row])]++] = {hashes_[row], row};
  }
  // Equal hashes are only a hint: every row is compared with the distinct rows of its run.
  unique_of_.resize(n_rows);
  std::vector<std::int64_t> first_of(n_rows);
  team.run(static_cast<std::int64_t>(begin.size()) - 1, [&](std::int64_t b, int) {
    std::sort(&order[0] + begin[b], &order[0] + begin[b + 1]);
    std::vector<double> u, v;
    std::vector<std::int64_t> distinct;
    for (std::int64_t from = begin[b], to; from < begin[b + 1]; from = to) {
      to = from + 1;
      while (to < begin[b + 1] && order[to].first == order[from].first) ++to;
      distinct.clear();
      for (std::int64_t p = from; p < to; ++p) {
        if (team.cancelled()) return;
        const std::int64_t row = order[p].second;
        first_of[row] = row;
        if (to - from == 1) continue;
        u.resize(d());
        v.resize(d());
        load_row(row, u.data());
        for (const std::int64_t candidate : distinct) {
          load_row(candidate, v.data());
          if (std::equal(u.begin(), u.end(), v.begin())) {
            first_of[row] = candidate;
            break;
          }
        }
        if (first_of[row] == row) distinct.push_back(row);
      }
    }
  });
  for (std::int64_t row = 0; row < n_rows; ++row) {
    if (first_of[row] == row) {
      unique_of_[row] = n_unique();
      first_.push_back(row);
      if (row < n_base_) n_columns_ = n_unique();
    } else {
      unique_of_[row] = unique_of_[first_of[row]];
    }
  }
  offset_.assign(n_unique() + 1, 0);
  for (std::int64_t row = 0; row < n_rows; ++row) ++offset_[unique_of_[row] + 1];
  std::partial_sum(offset_.begin(), offset_.end(), offset_.begin());
  members_.resize(n_rows);
  std::vector<std::int64_t> at(offset_.begin(), offset_.end() - 1);
  for (std::int64_t row = 0; row < n_rows; ++row) members_[at[unique_of_[row]]++] = row;
}

Frame Rows::frame_about(std::int64_t g, double radius) const {
  Frame frame;
  frame.centre.resize(d());
  load(g, frame.centre.data());
  // Rows beyond the radius may be seen, too: none must leave float32's range.
  const double most = frame_.scale * 0x1p50;
  frame.scale = radius > 0 ? std::min(0.25 * bring_to_one(radius), most) : most;
  return frame;
}

float Rows::distance(double squared) const {
  if (metric_ == Metric::cosine) return static_cast<float>(0.5 * squared);
  return static_cast<float>(std::sqrt(squared) / global_multiplier_);
}

void Rows::pack(const Kernels& filter, const Frame& frame, const std::int64_t* ids,
                std::int64_t count, std::byte* panels, float* half, RowBound* bounds,
                Team& team) const {
  const std::int64_t width = filter.panel, bytes = filter.panel_bytes(d());
  // An odd number of cache lines apart: the same column of many rows does not fall on few lines.
  const std::int64_t stride = (ceil_div(d(), 16) | 1) * 16;
  // Relative rounding of a sum of d squares and its root, doubled for safety.
  const double slack = static_cast<double>(d() + 16) * 0x1p-52;
  struct Scratch {
    std::vector<double> u;
    std::vector<float> y;
  };
  std::vector<Scratch> scratch(team.size());
  for (Scratch& s : scratch) s.u.resize(d()), s.y.resize(width * stride);
  team.run(ceil_div(count, width), [&](std::int64_t p, int worker) {
    Scratch& s = scratch[worker];
    const std::int64_t rows = std::min(width, count - p * width);
    for (std::int64_t r = 0; r < width; ++r) {
      const std::int64_t at = p * width + r;
      if (r >= rows) {
        half[at] = std::numeric_limits<float>::infinity();  // its score is minus infinity
        bounds[at] = {};
        continue;
      }
      load(ids[at], s.u.data());
      const RowSquares squares = filter.round_row(s.u.data(), frame.centre.data(), frame.scale, d(),
                                                  s.y.data() + r * stride);
      half[at] = static_cast<float>(0.5 * squares.rounded);
      bounds[at] = row_bound(squares.source, squares.rounded, squares.residual, slack);
    }
    filter.pack_panel(s.y.data(), stride, static_cast<int>(rows), d(), panels + p * bytes);
  });
}

}  // namespace ilo
