// A task is a block of columns. It goes through the shuffles in blocks of 16 whose labels lie side
// by side, row by row: an entry reads its labels from one place, and adds to 16 sums that do not
// wait for each other.
#include "sparse/label_permutations.h"

#include <algorithm>
#include <vector>

#include "core/errors.h"

namespace ilo {

namespace {

constexpr std::int64_t kLanes = 16;    // shuffles side by side
constexpr std::int64_t kColumns = 64;  // of a task

void check_input(const LabelPermutationInput& in) {
  const std::int64_t entries = in.offsets[in.n_columns];
  for (std::int64_t e = 0; e < entries; ++e) {
    if (in.rows[e] < 0 || in.rows[e] >= in.n_rows)
      throw InvalidArgument(text("rows[", e, "]=", in.rows[e], " is not in [0, ", in.n_rows, ")"));
    if (in.counts[e] < 1)
      throw InvalidArgument(text("counts[", e, "]=", in.counts[e], ", wanted at least 1"));
  }
  for (std::int64_t r = 0; r < in.n_rows; ++r)
    if (in.tokens[r] < 1)
      throw InvalidArgument(text("tokens[", r, "]=", in.tokens[r], ", wanted at least 1"));
}

// The labels of 16 shuffles, and how many tokens each label has in them.
class Block {
 public:
  Block(const LabelPermutationInput& in, std::int64_t first)
      : first(first), count(std::min(kLanes, in.n_shuffles - first)), places_(in.n_rows * kLanes) {
    std::vector<std::int64_t> sums(in.n_labels * kLanes);
    for (std::int64_t place = 0; place < in.n_rows * kLanes; ++place)
      places_[place] = static_cast<std::uint16_t>(place % kLanes);  // lanes without a shuffle, too
    for (std::int64_t lane = 0; lane < count; ++lane) {
      const std::uint16_t* const given = in.labels + (first + lane) * in.n_rows;
      for (std::int64_t r = 0; r < in.n_rows; ++r) {
        if (given[r] >= in.n_labels)
          throw InvalidArgument(text("labels[", first + lane, ", ", r, "]=", given[r],
                                     " is not in [0, ", in.n_labels, ")"));
        places_[r * kLanes + lane] = static_cast<std::uint16_t>(given[r] * kLanes + lane);
        sums[given[r] * kLanes + lane] += in.tokens[r];
      }
      for (std::int32_t l = 0; l < in.n_labels; ++l)
        if (sums[l * kLanes + lane] == 0)
          throw InvalidArgument(text("labels[", first + lane, "] holds no row of label ", l));
    }
    tokens_.assign(sums.begin(), sums.end());
  }

  // Where the 16 sums are that a row adds to.
  const std::uint16_t* of_row(std::int64_t row) const { return places_.data() + row * kLanes; }
  double tokens(std::int32_t label, std::int64_t lane) const {
    return tokens_[label * kLanes + lane];
  }

  std::int64_t first, count;

 private:
  std::vector<std::uint16_t> places_;
  std::vector<double> tokens_;
};

void count_column(const LabelPermutationInput& in, const Block& block, std::int64_t column,
                  std::vector<std::int64_t>& firings, const LabelPermutationOutput& out) {
  std::fill(firings.begin(), firings.end(), 0);
  for (std::int64_t e = in.offsets[column]; e < in.offsets[column + 1]; ++e) {
    const std::uint16_t* const places = block.of_row(in.rows[e]);
    const std::int64_t count = in.counts[e];
    for (std::int64_t lane = 0; lane < kLanes; ++lane) firings[places[lane]] += count;
  }
  for (std::int64_t lane = 0; lane < block.count; ++lane) {
    double statistic = 0, sum = 0, first = 0, second = 0;
    for (std::int32_t l = 0; l < in.n_labels; ++l) {
      const double mine = static_cast<double>(firings[l * kLanes + lane]);
      const double rate = mine / block.tokens(l, lane);
      statistic += mine * rate;
      sum += rate;
      second = std::max(second, std::min(first, rate));
      first = std::max(first, rate);
    }
    const std::int64_t at = (block.first + lane) * in.n_columns + column;
    out.statistic[at] = statistic;
    out.dominated[at] = sum > 0 && first >= in.dominant * sum && second < in.others * sum;
  }
}

}  // namespace

void permute_labels(const LabelPermutationInput& in, const LabelPermutationOutput& out,
                    Team& team) {
  check_input(in);
  const std::int64_t n_blocks = (in.n_shuffles + kLanes - 1) / kLanes;
  const std::int64_t n_tasks = (in.n_columns + kColumns - 1) / kColumns;
  team.expect(static_cast<double>(n_tasks * n_blocks));
  std::vector<std::vector<std::int64_t>> firings(team.size(),
                                                 std::vector<std::int64_t>(in.n_labels * kLanes));
  for (std::int64_t b = 0; b < n_blocks; ++b) {
    const Block block(in, b * kLanes);
    team.run(n_tasks, [&](std::int64_t task, int worker) {
      const std::int64_t last = std::min(in.n_columns, (task + 1) * kColumns);
      for (std::int64_t column = task * kColumns; column < last; ++column)
        count_column(in, block, column, firings[worker], out);
      team.advance(1);
    });
    team.poll();
  }
}

}  // namespace ilo
