// A line of the first language is laid out densely, so that each entry of another line finds its
// counterpart in one look: a layer's features stay in the cache. One task has a layer and a first
// language, and all that it adds to; within it lines come in order, so that threads change nothing.
#include "sparse/feature_sharing.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "core/errors.h"

namespace ilo {

namespace {

// Four sums in float32 beside each other, of so few numbers each that no more is lost than their
// own rounding. Any instruction set has such vectors; what it adds up is the same.
using Floats = float __attribute__((vector_size(16)));
using Whole = std::int32_t __attribute__((vector_size(16)));
constexpr int kLanes = 4;
constexpr std::int64_t kBlock = 512;
constexpr float kLargest = 1e18F;  // so that the products of a block fit

struct Segment {  // the entries of one row in one layer
  std::int64_t begin, end;
  double sum, squares;

  std::int64_t size() const { return end - begin; }
};

void check_numbers(const ParallelLines& in, const Partners& partners) {
  for (std::int64_t e = 0; e < in.rows.entries(); ++e)
    if (!(in.values[e] > 0 && in.values[e] <= kLargest))
      throw InvalidArgument(text("values[", e, "]=", in.values[e],
                                 ", wanted positive numbers of at most ", kLargest));
  for (std::int64_t i = 0; i < in.n_languages * in.n_lines; ++i)
    if (in.row_of[i] < 0 || in.row_of[i] >= in.rows.n)
      throw InvalidArgument(text("row_of[", i / in.n_lines, ", ", i % in.n_lines,
                                 "]=", in.row_of[i], " is not in [0, ", in.rows.n, ")"));
  for (std::int64_t i = 0; i < in.n_lines; ++i)
    if (in.document[i] < 0 || in.document[i] >= in.n_documents)
      throw InvalidArgument(
          text("documents[", i, "]=", in.document[i], " is not in [0, ", in.n_documents, ")"));
  for (std::int64_t i = 0; i < partners.count * in.n_lines; ++i)
    if (partners.lines[i] < 0 || partners.lines[i] >= in.n_lines)
      throw InvalidArgument(text("partners[", i / in.n_lines, ", ", i % in.n_lines,
                                 "]=", partners.lines[i], " is not in [0, ", in.n_lines, ")"));
}

// Of every row and layer, row by row.
std::vector<Segment> segments_of(const ParallelLines& in) {
  std::vector<Segment> found(in.rows.n * in.rows.n_layers);
  for (std::int64_t row = 0; row < in.rows.n; ++row) {
    std::int64_t at = in.rows.indptr[row];
    for (std::int64_t layer = 0; layer < in.rows.n_layers; ++layer) {
      Segment& segment = found[row * in.rows.n_layers + layer];
      segment = {at, at, 0, 0};
      for (; at < in.rows.indptr[row + 1] && in.rows.indices[at] < (layer + 1) * in.rows.n_features;
           ++at) {
        const double value = in.values[at];
        segment.sum += value;
        segment.squares += value * value;
      }
      segment.end = at;
    }
  }
  return found;
}

class Layer {
 public:
  Layer(const ParallelLines& in, const std::vector<Segment>& segments, std::int64_t layer,
        std::vector<float>& dense)
      : in_(in),
        segments_(segments),
        layer_(layer),
        first_(static_cast<std::int32_t>(layer * in.rows.n_features)),
        dense_(dense) {}

  const Segment& of(std::int64_t language, std::int64_t line) const {
    const std::int64_t row = in_.row_of[language * in_.n_lines + line];
    return segments_[row * in_.rows.n_layers + layer_];
  }

  void lay_out(const Segment& a) {
    for (std::int64_t e = a.begin; e < a.end; ++e)
      dense_[in_.rows.indices[e] - first_] = in_.values[e];
  }

  void clear(const Segment& a) {
    for (std::int64_t e = a.begin; e < a.end; ++e) dense_[in_.rows.indices[e] - first_] = 0;
  }

  // Adds the measures of `a`, which is laid out, and b.
  void add(const Segment& a, const Segment& b, double* sums) const {
    if (a.size() == 0 || b.size() == 0) return;
    double shared = 0, low = 0, product = 0;
    for (std::int64_t e = b.begin; e < b.end; e += kBlock) {
      const Common found = look(e, std::min(e + kBlock, b.end));
      shared += found.count, low += found.least, product += found.products;
    }
    sums[0] += shared / (static_cast<double>(a.size() + b.size()) - shared);
    sums[1] += low / (a.sum + b.sum - low);
    sums[2] += product / std::sqrt(a.squares * b.squares);
  }

 private:
  struct Common {
    double count, least, products;
  };

  // Of entries of another line, at most kBlock.
  Common look(std::int64_t begin, std::int64_t end) const {
    const std::int32_t* const indices = in_.rows.indices;
    const float *const values = in_.values, *const dense = dense_.data();
    const Floats zero{};
    Whole count{};
    Floats least{}, products{};
    const auto add = [&](const Floats& mine, const Floats& other) {
      count -= mine > zero;
      least += mine < other ? mine : other;
      products += mine * other;
    };
    std::int64_t e = begin;
    for (; e + kLanes <= end; e += kLanes) {
      const std::int32_t* const at = indices + e;
      const Floats mine{dense[at[0] - first_], dense[at[1] - first_], dense[at[2] - first_],
                        dense[at[3] - first_]};
      Floats other;
      std::memcpy(&other, values + e, sizeof other);
      add(mine, other);
    }
    Floats mine{}, other{};
    for (int lane = 0; e < end; ++e, ++lane)
      mine[lane] = dense[indices[e] - first_], other[lane] = values[e];
    add(mine, other);
    Common sum{};
    for (int lane = 0; lane < kLanes; ++lane) {
      sum.count += count[lane];
      sum.least += static_cast<double>(least[lane]);
      sum.products += static_cast<double>(products[lane]);
    }
    return sum;
  }

  const ParallelLines& in_;
  const std::vector<Segment>& segments_;
  std::int64_t layer_;
  std::int32_t first_;  // column of the layer
  std::vector<float>& dense_;
};

}  // namespace

void sum_sharing(const ParallelLines& in, const Partners& partners, const SharingSums& out,
                 Team& team) {
  check_numbers(in, partners);
  const std::int64_t n_layers = in.rows.n_layers, n_languages = in.n_languages;
  const std::int64_t of_layer = in.n_documents * kSharingMeasures;
  const std::int64_t n_pairs = n_languages * (n_languages - 1) / 2;
  std::fill_n(out.matched, n_pairs * n_layers * of_layer, 0.0);
  std::fill_n(out.others, n_pairs * n_layers * of_layer, 0.0);
  const std::vector<Segment> segments = segments_of(in);
  std::vector<std::vector<float>> dense(team.size(), std::vector<float>(in.rows.n_features));
  const double scale = partners.count ? 1.0 / static_cast<double>(partners.count) : 0.0;
  team.expect(static_cast<double>(n_pairs * n_layers));
  // The first languages have the most others: their tasks go first.
  team.run((n_languages - 1) * n_layers, [&](std::int64_t task, int worker) {
    const std::int64_t a = task / n_layers;
    Layer layer(in, segments, task % n_layers, dense[worker]);
    const auto place = [&](std::int64_t b) {
      const std::int64_t pair = a * n_languages - a * (a + 1) / 2 + (b - a - 1);
      return (pair * n_layers + task % n_layers) * of_layer;
    };
    for (std::int64_t i = 0; i < in.n_lines && !team.cancelled(); ++i) {
      const Segment& line = layer.of(a, i);
      layer.lay_out(line);
      for (std::int64_t b = a + 1; b < n_languages; ++b)
        layer.add(line, layer.of(b, i), out.matched + place(b) + in.document[i] * kSharingMeasures);
      layer.clear(line);
    }
    // Language by language: the lines of one stay in the cache.
    for (std::int64_t b = a + 1; b < n_languages && !team.cancelled(); ++b) {
      double* const others = out.others + place(b);
      for (std::int64_t i = 0; i < (partners.count ? in.n_lines : 0); ++i) {
        const Segment& line = layer.of(a, i);
        double* const own = others + in.document[i] * kSharingMeasures;
        layer.lay_out(line);
        for (std::int64_t s = 0; s < partners.count; ++s) {
          const std::int64_t j = partners.lines[s * in.n_lines + i];
          double* const theirs = others + in.document[j] * kSharingMeasures;
          double found[kSharingMeasures] = {};
          layer.add(line, layer.of(b, j), found);
          for (int m = 0; m < kSharingMeasures; ++m) {
            own[m] += scale * found[m];
            theirs[m] += scale * found[m];
          }
        }
        layer.clear(line);
      }
      team.advance(1);
    }
  });
}

}  // namespace ilo
