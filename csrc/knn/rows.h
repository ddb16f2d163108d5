// The rows as the definition sees them, and as the filter sees them.
//
// Definition. u_i = x_i (euclidean) or x_i / |x_i| (cosine), in float64. The distance of i and j is
// |u_i - u_j| or |u_i - u_j|^2 / 2 = 1 - cos; both are ordered by |u_i - u_j|^2, computed in
// float64 in one defined order of summation (Kernels::squared_distance). That is the float64 brute
// force that the engine's answer equals.
//
// Filter. y_i = s (u_i - c), rounded to the filter's precision: c the mean of all rows, s a power
// of two that rules overflow out. Distances do not change when c is subtracted, rounding errors
// shrink with the norms.
//
// Duplicates. Rows with equal u_i have equal distances to everything, so the engine works on one of
// each (the "unique" rows, in order of their first appearance) and deals them out again at the end.
//
// Queries. The first n_base rows are what is searched; others, if any, are only queries. Unique
// rows that occur among the first n_base come first: they are the columns of every product.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/matrix_view.h"
#include "core/parallel.h"
#include "knn/certificate.h"
#include "knn/kernels/kernels.h"

namespace ilo {

enum class Metric : int { euclidean, cosine };

// Where rows are seen from, and how large: z = scale * (u - centre), at most about 1.
struct Frame {
  std::vector<double> centre;
  double scale = 1;
};

class Rows {
 public:
  // Goes through the matrix once (float64: twice). Throws BadRow for NaN, infinity, and under
  // cosine a zero vector.
  Rows(const MatrixView& x, std::int64_t n_base, Metric metric, const Kernels& kernels, Team& team);

  std::int64_t n() const { return x_.n(); }
  std::int64_t n_base() const { return n_base_; }
  std::int64_t d() const { return x_.d; }
  Metric metric() const { return metric_; }

  std::int64_t n_unique() const { return static_cast<std::int64_t>(first_.size()); }
  std::int64_t n_columns() const { return n_columns_; }
  std::int64_t unique_of(std::int64_t row) const { return unique_of_[row]; }
  // The rows that are equal to unique row g, ascending.
  const std::int64_t* members_begin(std::int64_t g) const { return &members_[offset_[g]]; }
  const std::int64_t* members_end(std::int64_t g) const { return &members_[0] + offset_[g + 1]; }

  // u of a unique row, in float64.
  void load(std::int64_t g, double* out) const { load_row(first_[g], out); }

  // Where the values of a unique row lie, and what becomes of them.
  struct Source {
    const void* values;
    double multiplier, divisor;
  };
  Source source(std::int64_t g) const { return source_of(first_[g]); }
  // |u - v|^2 for the v of `row`. Fetches `next`, whose turn is next, into the cache; null: none.
  double squared_distance(const double* u, const Source& row, const void* next) const {
    alignas(64) double scratch[Kernels::kPiece];
    return kernels_.squared_distance_to(u, row.values, static_cast<int>(x_.dtype), x_.col_stride,
                                        x_.d, row.multiplier, row.divisor, next, scratch);
  }

  // About the mean of all rows.
  const Frame& frame() const { return frame_; }
  // About unique row g, for rows within `radius` of it.
  Frame frame_about(std::int64_t g, double radius) const;
  // Throws BadRow if a row is no longer what it was when this was made. Between two looks at the
  // same row nothing is certain; a row that is the same in both is taken to have been so all the
  // time.
  void check_unchanged(Team& team) const;
  // Of all that the rows hold: equal for equal rows, whatever their place in memory.
  std::uint64_t fingerprint() const { return fingerprint(0, n()); }
  // Of these rows alone.
  std::uint64_t fingerprint(std::int64_t begin, std::int64_t end) const;
  // Throws InvalidArgument where squared distances are not in the units of the rows: those of other
  // rows could not be compared with them.
  void check_unscaled() const;
  // Returned distances: from |u_i - u_j|^2 to what the caller asked for.
  float distance(double squared) const;
  // None is larger.
  float largest_distance() const { return distance(4 * max_norm_ * max_norm_ * (1 + 0x1p-20)); }

  // Packs unique rows ids[0..count) for `filter`; missing rows of the last panel are zero, with a
  // half that lets them survive nothing. half: |y|^2 / 2. Arrays are as long as whole panels.
  void pack(const Kernels& filter, const Frame& frame, const std::int64_t* ids, std::int64_t count,
            std::byte* panels, float* half, RowBound* bounds, Team& team) const;

 private:
  Source source_of(std::int64_t row) const {
    return {x_.rows[row], multiplier_.empty() ? global_multiplier_ : multiplier_[row],
            norm_.empty() ? 1.0 : norm_[row]};
  }
  void load_row(std::int64_t row, double* out) const {
    const Source s = source_of(row);
    kernels_.load_row(s.values, static_cast<int>(x_.dtype), x_.col_stride, x_.d, s.multiplier,
                      s.divisor, out);
  }
  void raw(std::int64_t row, double multiplier, double* out) const {
    kernels_.load_row(x_.rows[row], static_cast<int>(x_.dtype), x_.col_stride, x_.d, multiplier, 1,
                      out);
  }
  void find_multipliers(Team& team);
  void measure(Team& team);
  void find_duplicates(Team& team);

  const MatrixView& x_;
  std::int64_t n_base_, n_columns_ = 0;
  Metric metric_;
  const Kernels& kernels_;
  // Powers of two that keep squares of float64 inputs in range; 1 for all narrower types.
  double global_multiplier_ = 1;
  std::vector<double> multiplier_;  // cosine only, and only where a row needs one
  std::vector<double> norm_;        // cosine only: |x_i * multiplier_i|
  Frame frame_;
  double max_norm_ = 0;                // of u
  std::vector<std::uint64_t> hashes_;  // of u, a row each
  std::vector<std::int64_t> first_, members_, offset_;
  std::vector<std::int64_t> unique_of_;
};

}  // namespace ilo
