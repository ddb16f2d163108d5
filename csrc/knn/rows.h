// The rows as the definition sees them, and as the filter sees them.
//
// Definition. u_i = x_i (euclidean) or x_i / |x_i| (cosine), in float64. The distance of i and j is
// |u_i - u_j| or |u_i - u_j|^2 / 2 = 1 - cos; both are ordered by |u_i - u_j|^2, computed in
// float64 in one defined order of summation (Kernels::squared_distance). That is the float64 brute
// force that the engine's answer equals.
//
// Filter. y_i = float32 of s (u_i - c): c the mean of all rows, s a power of two that rules
// overflow out. Distances do not change when c is subtracted, rounding errors shrink with the
// norms.
//
// Duplicates. Rows with equal u_i have equal distances to everything, so the engine works on one of
// each (the "unique" rows, in order of their first appearance) and deals them out again at the end.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/matrix_view.h"
#include "core/parallel.h"
#include "knn/buffer.h"
#include "knn/kernels/kernels.h"

namespace ilo {

enum class Metric : int { euclidean, cosine };

class Rows {
 public:
  // Reads the matrix twice: norms and duplicates, then the mean. Throws InvalidArgument for NaN,
  // infinity, and under cosine a zero vector, naming the row.
  Rows(const MatrixView& x, Metric metric, const Kernels& kernels, Team& team);

  std::int64_t n() const { return x_.n(); }
  std::int64_t d() const { return x_.d; }
  Metric metric() const { return metric_; }

  std::int64_t n_unique() const { return static_cast<std::int64_t>(first_.size()); }
  std::int64_t unique_of(std::int64_t row) const { return unique_of_[row]; }
  // The rows that are equal to unique row g, ascending.
  const std::int64_t* members_begin(std::int64_t g) const { return &members_[offset_[g]]; }
  const std::int64_t* members_end(std::int64_t g) const { return &members_[0] + offset_[g + 1]; }

  // u of a unique row, in float64.
  void load(std::int64_t g, double* out) const { load_row(first_[g], out); }

  double scale() const { return scale_; }
  // Returned distances: from |u_i - u_j|^2 to what the caller asked for.
  float distance(double squared) const;

  // Packs unique rows ids[0..count) into panels; missing rows of the last panel are zero.
  // Writes per row: half the squared norm of y, its norm, and the norm of s(u - c) - y, the last
  // two rounded up.
  void pack(const std::int64_t* ids, std::int64_t count, float* panels, float* half, double* norm,
            double* residual, Team& team) const;

 private:
  void load_row(std::int64_t row, double* out) const {
    kernels_.load_row(x_.rows[row], static_cast<int>(x_.dtype), x_.col_stride, x_.d,
                      multiplier_.empty() ? global_multiplier_ : multiplier_[row],
                      norm_.empty() ? 1.0 : norm_[row], out);
  }
  void measure(Team& team, std::vector<std::uint64_t>& hashes);
  void find_duplicates(Team& team, const std::vector<std::uint64_t>& hashes);
  void find_centre(Team& team);

  const MatrixView& x_;
  Metric metric_;
  const Kernels& kernels_;
  // Powers of two that keep squares of float64 inputs in range; 1 for all narrower types.
  double global_multiplier_ = 1;
  std::vector<double> multiplier_;  // cosine only, and only where a row needs one
  std::vector<double> norm_;        // cosine only: |x_i * multiplier_i|
  double max_norm_ = 0;             // of u
  std::vector<double> centre_;
  double scale_ = 1;
  std::vector<std::int64_t> first_, members_, offset_;
  std::vector<std::int64_t> unique_of_;
};

}  // namespace ilo
