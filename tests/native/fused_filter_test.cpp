// The filter fused with the product (cuda/kernels/fused.h), on the CUDA emulator, pair by pair.
//
//     fused_filter_test [rounds, ignored] [seed]
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cuda/half.h"
#include "cuda/kernels/fused.h"
#include "emulated_device.h"

namespace ilo::emulated {
namespace {

void test_tiles() {
  using namespace fused;
  for (const int rows : {1, 2, 7, 8, 9, 16, 23, 40})
    for (const int columns : {1, 3, 8, 17, rows}) {
      std::set<std::pair<int, int>> seen;
      for (int block = 0; block < rows * columns; ++block) {
        const Tile t = rectangle(block, rows, columns);
        native::check(t.row >= 0 && t.row < rows && t.column >= 0 && t.column < columns,
                      "a tile outside");
        seen.emplace(t.row, t.column);
      }
      native::check(static_cast<int>(seen.size()) == rows * columns, "a tile twice");
    }
  // Every tile with a pair of different rows above the diagonal, and none twice.
  for (const int tiles : {1, 2, 3, 7, 8, 9, 15, 16, 17, 23, 40})
    for (const int count : {tiles * kColumns - kColumns + 1, tiles * kColumns - kRows,
                            tiles * kColumns - kRows + 1, tiles * kColumns}) {
      const int rows = (count + kRows - 1) / kRows;
      std::set<std::pair<int, int>> seen;
      for (int block = 0; block < all_stairs(rows, tiles); ++block) {
        const Tile t = upper_triangle(block, tiles);
        native::check(t.row >= 0 && t.row < rows && t.column >= 0 && t.column < tiles,
                      "a tile outside");
        native::check(t.row * kRows < (t.column + 1) * kColumns, "a tile below the diagonal");
        native::check(seen.emplace(t.row, t.column).second, "a tile of the triangle twice");
      }
      for (int row = 0; row < rows; ++row)
        for (int column = 0; column < tiles; ++column)
          native::check(row * kRows >= std::min((column + 1) * kColumns, count) - 1 ||
                            seen.count({row, column}),
                        "a tile of the triangle is missing");
    }
  native::check(all_stairs(0, 0) == 0, "tiles of nothing");
}

// Rows of small whole numbers, of which sums are exact.
struct Operand {
  int first, count, d;
  std::int64_t stride;
  std::vector<std::uint16_t> packed;
  std::vector<float> factor, half;
  Buffer<std::uint16_t> packed_there;
  Buffer<float> factor_there, half_there;

  Operand(int first_, int count_, int d_)
      : first(first_), count(count_), d(d_), stride((d + 63) / 64 * 64 + 64 * whole(0, 1)) {
    packed.assign(count * stride, 0);
    for (int r = 0; r < count; ++r) {
      for (int k = 0; k < d; ++k) packed[r * stride + k] = float_to_half(whole(-9, 9));
      factor.push_back(std::ldexp(1.0f, whole(-3, 3)));
      half.push_back(real(-30, 30));
    }
    packed_there = to_device(packed);
    factor_there = to_device(factor);
    half_there = to_device(half);
  }
  Side side() const {
    return {packed_there.data(), factor_there.data(), half_there.data(), stride, first, count};
  }
  float sum(int row, const Operand& other, int column) const {
    float total = 0;
    for (int k = 0; k < d; ++k)
      total += half_to_float(packed[row * stride + k]) *
               half_to_float(other.packed[column * other.stride + k]);
    return total;
  }
};

struct ListsThere {
  int rows, capacity;
  std::vector<float> threshold;
  Buffer<Hit> hits;
  Buffer<int> count;
  Buffer<float> threshold_there;
  Buffer<unsigned> lost;
  std::vector<std::map<int, float>> right;  // scores by column

  ListsThere(int rows_, int capacity_, float lowest, float highest)
      : rows(rows_), capacity(capacity_), right(rows) {
    for (int r = 0; r < rows; ++r)
      threshold.push_back(whole(0, 9) ? real(lowest, highest)
                                      : -std::numeric_limits<float>::infinity());
    hits.reserve(static_cast<std::size_t>(rows) * capacity);
    count = to_device(std::vector<int>(rows, 0));
    threshold_there = to_device(threshold);
    lost = to_device(std::vector<unsigned>(rows, kNothing));
  }
  Lists lists() {
    return {hits.data(), count.data(), threshold_there.data(), lost.data(), capacity};
  }
  void look(int row, int column, float score) {
    if (score > threshold[row])
      native::check(right[row].emplace(column, score).second, "the test looks at a pair twice");
  }
  void compare() {
    const std::vector<Hit> got = to_host(hits.data(), hits.size());
    const std::vector<int> counts = to_host(count.data(), rows);
    const std::vector<unsigned> losses = to_host(lost.data(), rows);
    for (int r = 0; r < rows; ++r) {
      std::map<int, float> left = right[r];
      native::check(counts[r] == static_cast<int>(left.size()),
                    "row " + std::to_string(r) + " has " + std::to_string(counts[r]) +
                        " hits, not " + std::to_string(left.size()));
      for (int i = 0; i < std::min(counts[r], capacity); ++i) {
        const Hit& hit = got[static_cast<std::size_t>(r) * capacity + i];
        const auto at = left.find(hit.column);
        native::check(at != left.end() && at->second == hit.score,
                      "a hit that is none, or is there twice");
        left.erase(at);
      }
      unsigned best = kNothing;
      for (const auto& [column, score] : left) best = std::max(best, ordered(score));
      native::check(losses[r] == best, "the best that was lost");
    }
  }
};

void try_filter(int n_rows, int n_columns, int d, bool both, bool same, bool overlapping,
                bool with_own, int capacity) {
  native::doing = std::to_string(n_rows) + " x " + std::to_string(n_columns) + " rows of " +
                  std::to_string(d) + (both ? ", both" : "") + (same ? ", the same" : "") +
                  (overlapping ? ", overlapping" : "") + (with_own ? ", own" : "") + ", capacity " +
                  std::to_string(capacity);
  const int first = whole(0, 5);
  const Operand rows(first, n_rows, d);
  const int first_column = same ? first : overlapping ? first + n_rows / 2 : first + n_rows + 3;
  const Operand others(first_column, same ? 0 : n_columns, d);
  const Operand& columns = same ? rows : others;
  const int end = std::max(first + n_rows, first_column + columns.count);
  const float wide = 40.0f * std::sqrt(static_cast<float>(d + 1));
  ListsThere of_rows(end, capacity, -wide, 3 * wide), of_columns(end, capacity, -wide, 3 * wide);
  ListsThere& back = same ? of_rows : of_columns;
  std::vector<int> own(end);
  for (int i = 0; i < end; ++i) own[i] = !with_own ? i : whole(0, 3) ? whole(0, end - 1) : -1;
  const Buffer<int> own_there = to_device(own);

  for (int r = 0; r < n_rows; ++r)
    for (int c = 0; c < columns.count; ++c) {
      const int number = first + r, other = first_column + c;
      if (both && same && r >= c) continue;
      const float sum = rows.sum(r, columns, c);
      const float product = sum * rows.factor[r] * columns.factor[c];
      if ((both && same) || own[number] != other)
        of_rows.look(number, other, product - columns.half[c]);
      if (both && (same || own[other] != number)) back.look(other, number, product - rows.half[r]);
    }
  check(cudaStreamSynchronize(nullptr), "uploads");
  fused_filter(nullptr, rows.side(), columns.side(), d, both, of_rows.lists(), back.lists(),
               with_own ? own_there.data() : nullptr);
  of_rows.compare();
  of_columns.compare();
}

// Eight threads that read a chunk of eight rows each (ldmatrix), or write two rows (cp.async), meet
// eight different groups of banks.
void test_banks() {
  using namespace fused;
  for (int row = 0; row < kColumns; row += 8)
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      std::set<int> read, written;
      for (int i = 0; i < 8; ++i) {
        read.insert(swizzled(row + i, chunk) / kChunk % 8);
        written.insert(swizzled(row + 2 * chunk + i / kChunks, i % kChunks) / kChunk % 8);
      }
      native::check(read.size() == 8 && written.size() == 8, "a conflict of banks");
    }
}

void test_fused() {
  test_tiles();
  test_banks();
  for (int round = 0; round < 2; ++round) {
    set_order(round);
    for (const bool both : {false, true}) {
      //         rows columns   d         same  overlap  own  capacity
      try_filter(1, 1, 1, both, false, false, false, 4);
      try_filter(128, 256, 64, both, false, false, false, 300);
      try_filter(130, 257, 33, both, false, false, false, 300);
      try_filter(257, 130, 200, both, false, false, true, 20);
      try_filter(300, 300, 100, both, true, false, false, 300);
      try_filter(129, 129, 16, both, true, false, false, 5);
      try_filter(65, 65, 130, both, true, false, false, 65);
      // About the ends of tiles, and of steps.
      const int wide = 256 * whole(1, 2) + whole(-1, 1), high = 128 * whole(1, 4) + whole(-1, 1);
      const int d = 32 * whole(1, 4) + whole(-1, 1);
      try_filter(high, wide, d, both, false, false, whole(0, 1), 700);
      try_filter(wide, high, d, both, false, false, whole(0, 1), 3);
      for (const int n : {wide, high}) try_filter(n, n, d, both, true, false, false, 700);
    }
    for (const int n : {127, 128, 255, 256, 257, 384, 385})
      try_filter(n, n, 9, true, true, false, false, 9);
    try_filter(150, 170, 70, false, false, true, false, 10);
    try_filter(150, 170, 70, false, true, false, true, 200);
    try_filter(90, 140, 160, false, false, true, true, 200);
    try_filter(0, 140, 30, false, false, false, false, 8);
    try_filter(140, 0, 30, true, false, false, false, 8);
    try_filter(10, 12, 0, true, false, false, false, 20);
  }
  try_filter(2180, 2180, 5, true, true, false, false, 9);  // more than a group of tiles
  set_order(0);
}

void run(native::Random&, native::Index) {
  random_numbers = native::Random(native::seed);
  test_fused();
}

}  // namespace
}  // namespace ilo::emulated

int main(int argc, char** argv) { return native::run_test(argc, argv, ilo::emulated::run); }
