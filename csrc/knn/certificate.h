// When may a row trust a filter that rounds? The bound, term by term.
//
// z = s (u - c) exact (rows.h); y its rounding to the filter's precision, which the filter
// multiplies; all norms Euclidean. Per row, in float64 and rounded to the safe side (Rows::pack):
//
//   norm      >= |y|
//   residual  >= |z - y|: what rounding to float32 or bfloat16 took away, subnormals that the
//                instructions take for zero, and the float64 rounding of u - c
//   source    <= |z|^2
//   drift     <= |z|^2 - |y|^2
//
// The score. The filter ranks the columns j of row i by  score = fl(fl(y_i . y_j) - fl(|y_j|^2/2)),
// since |y_i - y_j|^2 = |y_i|^2 - 2 (y_i . y_j - |y_j|^2 / 2). Against the exact value it errs by
//
//   |score - exact| <= gamma |y_i||y_j|   the product: a term meets at most m = Kernels::roundings
//                                         roundings of at most u = 2^-24 each; gamma = m u/(1 - m
//                                         u) (Higham, Accuracy and Stability, sec. 3.1), and sum
//                                         |y_ik y_jk| <= |y_i||y_j| by Cauchy-Schwarz
//                    + u |y_j|^2          rounding |y_j|^2 / 2, and subtracting it
//                    + 2 u |y_i||y_j|     subtracting, with room to spare
//                    + d underflow        products and sums that underflow
//                 =: error(i, |y_j|).     Symmetric but for the middle terms; rows and columns of a
//                                         tile each use their own.
//
// The distance. Two lower bounds follow for a column of score at most t, and either may be used:
//
//   triangle         |z_i - z_j| >= |y_i - y_j| - r_i - r_j
//                                >= sqrt(|y_i|^2 - 2 (t + error)) - r_i - r_j
//   Cauchy-Schwarz   |z_i - z_j|^2 = |z_i|^2 + |z_j|^2 - 2 z_i . z_j
//                                 >= |z_i|^2 + drift_j - 2 (t + error)
//                                    - 2 (|y_i| r_j + r_i |y_j| + r_i r_j)
//
// The triangle is tighter where neighbours are near compared with the norms (angles below 60
// degrees), Cauchy-Schwarz where they are not, as in isotropic data.
//
// Which columns count. The errors grow with |y_j|, but no column with |z_j| > |z_i| + delta is
// closer than delta (triangle inequality), so for the question "can anything discarded be closer
// than delta?" only |y_j| <= |y_i| + r_i + r_j + delta =: E counts, and of residual and drift only
// what such a column can have: at most the largest of all columns, and at most the largest ratio to
// the norm times E. So far-off outliers do not spoil everybody's bound.
//
// The definition's own rounding. Distances that it compares are float64 sums of d squares: each is
// within a factor 1 +- eta of its exact value, eta = (d + 64) 2^-52, since all terms are positive;
// `beyond` asks for more than that difference, so what is excluded is strictly farther also as
// float64 computes it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "core/host_device.h"
#include "knn/kernels/kernels.h"

namespace ilo {

// Of one row, in units of z; see above.
struct RowBound {
  double norm = 0, residual = 0, source = 0, drift = 0;
};

// Of sums of squares of z, y and z - y, whose relative rounding is at most `slack` (doubled for
// safety).
ILO_HOST_DEVICE inline RowBound row_bound(double source, double rounded, double residual,
                                          double slack) {
  RowBound b;
  b.norm = std::sqrt(rounded) * (1 + slack);
  // What the filter's rounding took away, and what float64 took away when the centre was
  // subtracted (half a unit in the last place of each value); 2^-500 stands for squares that
  // underflowed.
  const double subtraction = std::sqrt(source) * (1 + slack) * 0x1p-52;
  b.residual = std::sqrt(residual) * (1 + slack) + subtraction + 0x1p-500;
  // |z|^2 from the rounded z: (|z'| + subtraction)^2 - |z'|^2, and the sums' own rounding.
  const double doubt = source * (slack + 0x1p-50) + 0x1p-900;
  b.source = source - doubt;
  b.drift = source - rounded - doubt - rounded * slack;
  return b;
}

class Certificate {
 public:
  Certificate(const Kernels& kernels, std::int64_t d, double scale)
      : Certificate(kernels.roundings(d), kernels.underflow, d, scale) {}
  Certificate(std::int64_t roundings, double underflow, std::int64_t d, double scale)
      : scale_(scale),
        underflow_(static_cast<double>(d) * underflow),
        eta_((static_cast<double>(d) + 64) * 0x1p-52),
        shrink_(1 - (static_cast<double>(d) + 64) * 0x1p-50),
        residual_share_(std::clamp(3 / std::sqrt(static_cast<double>(d)), 0.1, 1.0)) {
    const double m = static_cast<double>(roundings);
    gamma_ = m * kUnit / (1 - m * kUnit);
  }

  // Every column has to be shown once, before anything is asked.
  void admit(const RowBound& column) {
    max_norm_ = std::max(max_norm_, column.norm);
    max_residual_ = std::max(max_residual_, column.residual);
    max_drop_ = std::max(max_drop_, -column.drift);
    // Ratios of tiny rows say nothing; they count as if they were kFloor long.
    const double norm = std::max(column.norm, kFloor);
    residual_ratio_ = std::max(residual_ratio_, column.residual / norm);
    drop_ratio_ = std::max(drop_ratio_, -column.drift / (norm * norm));
  }

  // delta for a squared distance of the definition: in units of z, rounded up past float64's doubt.
  // (2^-500: below it squares lose bits, and different distances may compare equal.)
  ILO_HOST_DEVICE double beyond(double squared) const {
    return scale_ * (std::sqrt(squared) * (1 + eta_) + 0x1p-500);
  }

  // A lower bound of |z_i - z_j| for one column of known score.
  ILO_HOST_DEVICE double lower_bound(double score, const RowBound& i, const RowBound& j) const {
    const double products = i.norm * j.residual + i.residual * j.norm + i.residual * j.residual;
    const double low = i.norm * shrink_;
    const double twice = 2 * (score + error(i.norm, j.norm));
    const double triangle = root(low * low - twice, low * low) - i.residual - j.residual;
    const double product =
        root(i.source + j.drift - twice - 2 * products * (1 + 0x1p-40), i.source + j.norm * j.norm);
    return std::max(triangle, product);
  }

  // An upper bound of it.
  ILO_HOST_DEVICE double upper_bound(double score, const RowBound& i, const RowBound& j) const {
    const double squared = i.norm * i.norm - 2 * (score - error(i.norm, j.norm));
    return std::sqrt(squared > 0 ? squared : 0) * (1 + 0x1p-40) + i.residual + j.residual;
  }

  // The largest threshold t such that everything whose score is at most t is farther than delta
  // from row i; rounded down to float32.
  ILO_HOST_DEVICE float threshold(const RowBound& i, double delta) const {
    if (delta == INFINITY) return -INFINITY;
    const Eligible j = eligible(i, delta);
    const double reach = delta + i.residual + j.residual;
    const double low = i.norm * shrink_;
    const double triangle = 0.5 * (low * low - reach * reach);
    const double products = i.norm * j.residual + i.residual * j.norm + i.residual * j.residual;
    const double product = 0.5 * (i.source - j.drop - delta * delta) - products;
    const double t = std::max(triangle, product) - error(i.norm, j.norm);
    // What this computation itself rounded: every summand is at most of this size.
    const double size = low * low + reach * reach + products + j.drop;
    const float rounded = static_cast<float>(t - size * 0x1p-46);
    return std::nextafter(rounded - std::fabs(rounded) * 0x1p-23f, -INFINITY);
  }

  // A threshold that will do if scores are nearly right: for lists of candidates, while distances
  // are not yet known. `score` is the k-th best so far; certifies nothing. (Of a residual that
  // points anywhere in d dimensions a distance feels about 1 / sqrt(d).)
  ILO_HOST_DEVICE float estimated_threshold(const RowBound& i, float score) const {
    const double near = std::sqrt(std::max(0.0, i.norm * i.norm - 2.0 * score));
    return threshold(
        i, near + residual_share_ * (i.residual + std::min(max_residual_, 4 * i.residual)) +
               error(i.norm, i.norm) / std::max(near, i.norm * 0x1p-12 + 0x1p-500));
  }

 private:
  static constexpr double kUnit = 0x1p-24;
  static constexpr double kFloor = 0x1p-60;

  // The most that a column closer than delta can have.
  struct Eligible {
    double norm, residual, drop;
  };
  ILO_HOST_DEVICE Eligible eligible(const RowBound& i, double delta) const {
    Eligible out{max_norm_, max_residual_, std::max(0.0, max_drop_)};
    if (residual_ratio_ < 0.25) {
      const double norm = (i.norm + i.residual + delta + residual_ratio_ * kFloor) /
                          (1 - residual_ratio_) * (1 + 0x1p-30);
      const double floored = norm > kFloor ? norm : kFloor;  // no reference: device code
      out.norm = std::min(out.norm, norm);
      out.residual = std::min(out.residual, residual_ratio_ * floored * (1 + 0x1p-30));
      out.drop = std::min(out.drop, drop_ratio_ * floored * floored * (1 + 0x1p-30));
    }
    return out;
  }

  ILO_HOST_DEVICE double error(double norm_i, double norm_j) const {
    return ((gamma_ + 2 * kUnit) * norm_i * norm_j + 2 * kUnit * norm_j * norm_j + underflow_) *
           (1 + 0x1p-40);
  }
  // sqrt(squared), less what the subtractions that made it may have rounded; 0 if negative.
  ILO_HOST_DEVICE static double root(double squared, double size) {
    const double safe = squared - (size + std::fabs(squared)) * 0x1p-46;
    return safe > 0 ? std::sqrt(safe) * (1 - 0x1p-50) : 0;
  }

  double scale_;
  double gamma_ = 0, underflow_, eta_;
  double shrink_;  // norms come rounded up; where a bound needs them from below, this undoes it
  double residual_share_;  // the share of residuals that a estimated threshold reckons with
  double max_norm_ = 0, max_residual_ = 0, residual_ratio_ = 0;
  double max_drop_ = 0, drop_ratio_ = 0;  // drop: how far |z|^2 lies below |y|^2
};

}  // namespace ilo
