// When may a row trust a filter that rounds? The bound, term by term. (s and c as in rows.h;
// z = s (u - c) exact; y its float32 rounding; all norms Euclidean.)
//
// The filter ranks the columns j of row i by   score = fl(fl(y_i . y_j) - fl(|y_j|^2 / 2)),
// since |y_i - y_j|^2 = |y_i|^2 - 2 (y_i . y_j - |y_j|^2 / 2). Against the exact value it errs by
//
//   |score - exact| <= gamma |y_i||y_j|          the product: every term meets at most
//                                                depth * roundings_per_term roundings in its chain
//                                                and ceil(d / depth) when chains are added; each is
//                                                at most u = 2^-24 (Higham, Accuracy and Stability,
//                                                sec. 3.1), and sum |y_ik y_jk| <= |y_i||y_j| by
//                                                Cauchy-Schwarz
//                    + u |y_j|^2                 rounding |y_j|^2 / 2, and subtracting it
//                    + 2 u |y_i||y_j|            subtracting, with room to spare
//                    + d 2^-148                  products that underflow (half a subnormal each,
//                    twice)
//                 =: error(i, |y_j|).
//
// A column whose score is at most t is therefore at least
//
//   |z_i - z_j| >= |y_i - y_j| - r_i - r_j,   r = |z - y| <= residual   (rows.h)
//              >= sqrt(max(0, |y_i|^2 - 2 (t + error))) - r_i - r_j
//
// away from row i. The error grows with |y_j|, but no column with |z_j| > |z_i| + delta is closer
// than delta (triangle inequality), so for the question "can anything discarded be closer than
// delta?" only |y_j| <= |y_i| + r_i + r_j + delta counts: far-off outliers do not spoil everybody's
// bound.
//
// Distances that the definition compares are float64 sums of d squares: each is within a factor
// 1 +- eta of its exact value, eta = (d + 64) 2^-52, since all terms are positive; `beyond` asks
// for more than that difference, so what is excluded is strictly farther also as float64 computes
// it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "knn/kernels/kernels.h"

namespace ilo {

class Certificate {
 public:
  Certificate(const Kernels& kernels, std::int64_t d, double scale, double max_norm,
              double max_residual)
      : scale_(scale), max_norm_(max_norm), max_residual_(max_residual) {
    const double chain = static_cast<double>(std::min<std::int64_t>(d, kernels.depth));
    const double chains = std::ceil(static_cast<double>(d) / kernels.depth);
    const double m = chain * kernels.roundings_per_term + chains + 1;
    gamma_ = m * kUnit / (1 - m * kUnit);
    underflow_ = static_cast<double>(d) * 0x1p-148;
    // Room for the float64 rounding of this very computation.
    eta_ = (static_cast<double>(d) + 64) * 0x1p-52;
    shrink_ = 1 - (static_cast<double>(d) + 64) * 0x1p-50;
  }

  // delta for a squared distance of the definition: in units of z, rounded up past float64's doubt.
  // (2^-500: below it squares lose bits, and different distances may compare equal.)
  double beyond(double squared) const {
    return scale_ * (std::sqrt(squared) * (1 + eta_) + 0x1p-500);
  }

  // A lower bound of |z_i - z_j| for one column of known norm and residual.
  double lower_bound(double score, double norm_i, double residual_i, double norm_j,
                     double residual_j) const {
    return lower(score, norm_i, norm_j) - residual_i - residual_j;
  }

  // Whether everything whose score is at most `threshold` is farther than delta from row i.
  bool excludes(double threshold, double norm_i, double residual_i, double delta) const {
    if (threshold == -INFINITY) return true;  // nothing was discarded
    const double norm_j = eligible_norm(norm_i, residual_i, delta);
    return lower(threshold, norm_i, norm_j) - residual_i - max_residual_ > delta;
  }

  // The largest threshold that excludes() accepts for delta, rounded down to float32.
  float threshold(double norm_i, double residual_i, double delta) const {
    if (delta == INFINITY) return -INFINITY;
    const double norm_j = eligible_norm(norm_i, residual_i, delta);
    const double reach = delta + residual_i + max_residual_;
    const double low = norm_i * shrink_;
    const double t = 0.5 * (low * low - reach * reach * (1 + 0x1p-40)) - error(norm_i, norm_j);
    const float rounded = static_cast<float>(t - std::fabs(t) * 0x1p-22);
    return std::nextafter(rounded, -INFINITY);
  }

 private:
  static constexpr double kUnit = 0x1p-24;

  double eligible_norm(double norm_i, double residual_i, double delta) const {
    return std::min(max_norm_, (norm_i + residual_i + max_residual_ + delta) * (1 + 0x1p-40));
  }
  double error(double norm_i, double norm_j) const {
    return ((gamma_ + 2 * kUnit) * norm_i * norm_j + 2 * kUnit * norm_j * norm_j + underflow_) *
           (1 + 0x1p-40);
  }
  double lower(double score, double norm_i, double norm_j) const {
    const double low = norm_i * shrink_;
    const double squared = low * low - 2 * (score + error(norm_i, norm_j));
    // The subtraction above rounds: give back more than it can have taken.
    const double safe = squared - (low * low + 2 * std::fabs(score)) * 0x1p-50;
    return safe > 0 ? std::sqrt(safe) * (1 - 0x1p-50) : 0;
  }

  double scale_, max_norm_, max_residual_;
  double gamma_, underflow_, eta_;
  double shrink_;  // norms come rounded up; where a bound needs them from below, this undoes it
};

}  // namespace ilo
