#include "knn/rows.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <mutex>
#include <numeric>
#include <utility>

#include "core/errors.h"

namespace ilo {

namespace {

constexpr std::int64_t kChunk = 256;  // rows a task

std::int64_t chunks(std::int64_t n, std::int64_t size) { return (n + size - 1) / size; }

// The power of two that brings `largest` into [1, 2).
// (2^1023 at most, since 2^1024 is infinite: a subnormal then ends at 2^-51 or more.)
double bring_to_one(double largest) {
  return std::ldexp(1.0, std::min(1023, -std::ilogb(largest)));
}

std::uint64_t hash(const double* u, std::int64_t d) {
  std::uint64_t h = 0x9e3779b97f4a7c15u;
  for (std::int64_t k = 0; k < d; ++k) {
    const double v = u[k] + 0.0;  // -0 equals 0
    std::uint64_t bits;
    std::memcpy(&bits, &v, 8);
    h = (h ^ bits) * 0xff51afd7ed558ccdu;
    h ^= h >> 32;
  }
  return h;
}

double largest_magnitude(const double* u, std::int64_t d) {
  double largest = 0;
  for (std::int64_t k = 0; k < d; ++k) largest = std::max(largest, std::fabs(u[k]));
  return largest;
}

}  // namespace

Rows::Rows(const MatrixView& x, Metric metric, const Kernels& kernels, Team& team)
    : x_(x), metric_(metric), kernels_(kernels) {
  std::vector<std::uint64_t> hashes(n());
  measure(team, hashes);
  find_duplicates(team, hashes);
  find_centre(team);
}

void Rows::measure(Team& team, std::vector<std::uint64_t>& hashes) {
  // Squares of float32 and narrower never leave float64's range; those of float64 may.
  const bool may_overflow = x_.dtype == DType::f64;
  std::mutex mutex;
  std::int64_t bad_row = n();  // the first, whichever thread meets one
  bool bad_is_zero = false;
  double largest = 0;

  if (metric_ == Metric::cosine) norm_.assign(n(), 1.0);
  if (metric_ == Metric::cosine && may_overflow) multiplier_.assign(n(), 1.0);
  std::vector<std::vector<double>> scratch(team.size(), std::vector<double>(d()));

  const auto over_rows = [&](auto&& visit) {
    team.run(chunks(n(), kChunk), [&](std::int64_t chunk, int worker) {
      const std::int64_t end = std::min(n(), (chunk + 1) * kChunk);
      for (std::int64_t i = chunk * kChunk; i < end; ++i) visit(i, scratch[worker].data());
    });
  };
  const auto raw = [&](std::int64_t i, double multiplier, double divisor, double* u) {
    return kernels_.load_row(x_.rows[i], static_cast<int>(x_.dtype), x_.col_stride, d(), multiplier,
                             divisor, u);
  };
  const auto bad = [&](std::int64_t i, bool zero) {
    std::lock_guard lock(mutex);
    if (i < bad_row) bad_row = i, bad_is_zero = zero;
  };

  if (may_overflow) {
    over_rows([&](std::int64_t i, double* u) {
      if (!raw(i, 1, 1, u)) return bad(i, false);
      const double m = largest_magnitude(u, d());
      if (metric_ == Metric::cosine) {
        if (m > 0 && (m > 0x1p400 || m < 0x1p-400)) multiplier_[i] = bring_to_one(m);
      } else {
        std::lock_guard lock(mutex);
        largest = std::max(largest, m);
      }
    });
    if (largest > 0x1p400 || (largest > 0 && largest < 0x1p-400))
      global_multiplier_ = bring_to_one(largest);
  }
  if (bad_row == n()) {
    std::vector<double> max_norm(team.size(), 0.0);
    team.run(chunks(n(), kChunk), [&](std::int64_t chunk, int worker) {
      double* u = scratch[worker].data();
      const std::int64_t end = std::min(n(), (chunk + 1) * kChunk);
      for (std::int64_t i = chunk * kChunk; i < end; ++i) {
        const double multiplier = multiplier_.empty() ? global_multiplier_ : multiplier_[i];
        if (!raw(i, multiplier, 1, u)) {
          bad(i, false);
          continue;
        }
        double norm = std::sqrt(kernels_.sum_of_squares(u, d()));
        if (metric_ == Metric::cosine) {
          if (norm == 0) {
            bad(i, true);
            continue;
          }
          norm_[i] = norm;
          if (norm != 1.0)
            for (std::int64_t k = 0; k < d(); ++k) u[k] /= norm;
          norm = 1.0;
        }
        max_norm[worker] = std::max(max_norm[worker], norm);
        hashes[i] = hash(u, d());
      }
    });
    max_norm_ = *std::max_element(max_norm.begin(), max_norm.end());
  }
  if (bad_row == n()) return;
  if (bad_is_zero)
    throw BadRow(bad_row,
                 "is a zero vector, which has no direction: metric='cosine' needs non-zero rows; "
                 "drop the row or use metric='euclidean'");
  double* u = scratch[0].data();
  raw(bad_row, 1, 1, u);
  std::int64_t column = 0;
  while (column + 1 < d() && std::isfinite(u[column])) ++column;
  throw BadRow(bad_row, text("holds ", std::isnan(u[column]) ? "NaN" : "infinity", " (column ",
                             column, "): every value must be finite"));
}

void Rows::find_duplicates(Team& team, const std::vector<std::uint64_t>& hashes) {
  const std::int64_t n_rows = n();
  std::vector<std::pair<std::uint64_t, std::int64_t>> order(n_rows);
  for (std::int64_t row = 0; row < n_rows; ++row) order[row] = {hashes[row], row};
  std::sort(order.begin(), order.end());
  // Equal hashes are only a hint: every row is compared with the distinct rows of its run.
  unique_of_.resize(n_rows);
  std::vector<std::int64_t> first_of(n_rows);
  std::vector<double> u(d()), v(d());
  for (std::int64_t begin = 0, end; begin < n_rows; begin = end) {
    end = begin + 1;
    while (end < n_rows && order[end].first == order[begin].first) ++end;
    std::vector<std::int64_t> distinct;
    for (std::int64_t p = begin; p < end; ++p) {
      if (p % 64 == 0) team.poll();
      const std::int64_t row = order[p].second;
      first_of[row] = row;
      if (end - begin > 1) {
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
  }
  for (std::int64_t row = 0; row < n_rows; ++row) {
    if (first_of[row] == row) {
      unique_of_[row] = n_unique();
      first_.push_back(row);
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

void Rows::find_centre(Team& team) {
  // Fixed slices added in order: the same centre for any number of threads. (The neighbours do not
  // depend on it. How many rows are certified at once may, by a few in ten thousand, with the order
  // in which threads raise thresholds.)
  const std::int64_t slice = std::max<std::int64_t>(kChunk, chunks(n(), 64));
  const std::int64_t n_slices = chunks(n(), slice);
  std::vector<std::vector<double>> sums(n_slices, std::vector<double>(d(), 0.0));
  std::vector<std::vector<double>> scratch(team.size(), std::vector<double>(d()));
  team.run(n_slices, [&](std::int64_t s, int worker) {
    double* u = scratch[worker].data();
    double* sum = sums[s].data();
    for (std::int64_t i = s * slice; i < std::min(n(), (s + 1) * slice); ++i) {
      load_row(i, u);
      for (std::int64_t k = 0; k < d(); ++k) sum[k] += u[k];
    }
  });
  centre_.assign(d(), 0.0);
  for (const auto& sum : sums)
    for (std::int64_t k = 0; k < d(); ++k) centre_[k] += sum[k];
  for (double& c : centre_) c /= static_cast<double>(n());
  // |u - c| <= 2 max|u|: after scaling at most 1, so no product or sum can overflow float32.
  scale_ = max_norm_ > 0 ? 0.25 * bring_to_one(max_norm_) : 1.0;
}

float Rows::distance(double squared) const {
  if (metric_ == Metric::cosine) return static_cast<float>(0.5 * squared);
  return static_cast<float>(std::sqrt(squared) / global_multiplier_);
}

void Rows::pack(const std::int64_t* ids, std::int64_t count, float* panels, float* half,
                double* norm, double* residual, Team& team) const {
  const std::int64_t width = kernels_.panel, n_panels = chunks(count, width);
  // Relative rounding of a sum of d squares and its root, doubled for safety.
  const double slack = 1 + static_cast<double>(d() + 16) * 0x1p-52;
  std::vector<std::vector<double>> scratch(team.size(), std::vector<double>(d()));
  team.run(n_panels, [&](std::int64_t p, int worker) {
    double* u = scratch[worker].data();
    float* panel = panels + p * width * d();
    for (std::int64_t r = 0; r < width; ++r) {
      const std::int64_t at = p * width + r;
      if (at >= count) {
        for (std::int64_t k = 0; k < d(); ++k) panel[k * width + r] = 0;
        // Never a survivor: its score is minus infinity.
        half[at] = std::numeric_limits<float>::infinity();
        norm[at] = residual[at] = 0;
        continue;
      }
      load(ids[at], u);
      double norm2, residual2, source2;
      kernels_.centre_row(u, centre_.data(), scale_, d(), panel + r, width, &norm2, &residual2,
                          &source2);
      half[at] = static_cast<float>(0.5 * norm2);
      norm[at] = std::sqrt(norm2) * slack;
      // What float32 took away, and what float64 took away when the centre was subtracted (half a
      // unit in the last place of each value); 2^-500 stands for squares that underflowed.
      residual[at] = std::sqrt(residual2) * slack + std::sqrt(source2) * slack * 0x1p-52 + 0x1p-500;
    }
  });
}

}  // namespace ilo
