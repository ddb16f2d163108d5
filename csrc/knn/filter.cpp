// Runs the schedule of block products and hands their hits to the candidates.
#include "knn/filter.h"

#include <algorithm>
#include <cmath>

namespace ilo {

namespace {

// Squares of 8 x 8 blocks, whose panels stay in the last-level cache.
constexpr std::int64_t kSide = 8;
constexpr std::int64_t kPlaces = kSide * kSide;
// Lists are fetched so many rows or hits before they are used.
constexpr std::int64_t kRowsAhead = 4;
constexpr std::size_t kPending = 48;

}  // namespace

Filter::Filter(PackedRows& rows, PackedRows& columns, bool all_pairs, const Kernels& kernels,
               Team& team, std::vector<Worker>& workers, Candidates& candidates, double step_work,
               Candidates* of_columns)
    : rows_(rows),
      columns_(columns),
      all_pairs_(all_pairs),
      kernels_(kernels),
      team_(team),
      workers_(workers),
      candidates_(candidates),
      of_columns_(of_columns),
      step_work_(step_work),
      locks_(ceil_div(rows.count(), rows.block_rows())),
      column_locks_(of_columns ? ceil_div(columns.count(), columns.block_rows()) : 0) {}

void Filter::run(std::int64_t done, std::function<void(std::int64_t)> between) {
  done_ = done;
  between_ = std::move(between);
  only_count_ = false;
  schedule();
}

std::int64_t Filter::count_steps() {
  only_count_ = true;
  between_ = [](std::int64_t) {};
  schedule();
  return step_;
}

void Filter::schedule() {
  step_ = 0;
  for (std::int64_t s = 0; s < rows_.n_superblocks(); ++s) {
    if (all_pairs_) triangle(s);
    for (std::int64_t other = all_pairs_ ? s + 1 : 0; other < columns_.n_superblocks(); ++other)
      rectangle(s, other, all_pairs_ ? 1 : 0);
  }
}

void Filter::triangle(std::int64_t s) {
  const std::int64_t n = rows_.blocks_in(s), sides = ceil_div(n, kSide);
  const auto load = [&] { rows_.load(s, 0); };
  // Blocks on the diagonal first: they give every row a threshold, so that little passes later.
  in_steps(n, 1, load, [&](std::int64_t i, int worker) { multiply(s, i, 0, s, i, worker); });
  // Square (p, q), p <= q, has the number q (q + 1) / 2 + p.
  in_steps(sides * (sides + 1) / 2 * kPlaces, kPlaces, load, [&](std::int64_t t, int worker) {
    const std::int64_t square = t / kPlaces, place = t % kPlaces;
    auto q = static_cast<std::int64_t>((std::sqrt(8.0 * static_cast<double>(square) + 1) - 1) / 2);
    while (q * (q + 1) / 2 > square) --q;  // the root may have rounded
    while ((q + 1) * (q + 2) / 2 <= square) ++q;
    const std::int64_t p = square - q * (q + 1) / 2;
    const std::int64_t i = p * kSide + place / kSide, j = q * kSide + place % kSide;
    if (i < j && j < n) multiply(s, i, 0, s, j, worker);
  });
}

void Filter::rectangle(std::int64_t s, std::int64_t other, int slot) {
  const std::int64_t n = rows_.blocks_in(s), m = columns_.blocks_in(other);
  const std::int64_t across = ceil_div(m, kSide);
  const auto load = [&] {
    rows_.load(s, 0);
    columns_.load(other, slot);
  };
  in_steps(ceil_div(n, kSide) * across * kPlaces, kPlaces, load, [&](std::int64_t t, int worker) {
    const std::int64_t square = t / kPlaces, place = t % kPlaces;
    const std::int64_t i = square / across * kSide + place / kSide;
    const std::int64_t j = square % across * kSide + place % kSide;
    if (i < n && j < m) multiply(s, i, slot, other, j, worker);
  });
}

void Filter::in_steps(std::int64_t n_tasks, std::int64_t group, const std::function<void()>& load,
                      const std::function<void(std::int64_t, int)>& task) {
  const double pairs = static_cast<double>(rows_.block_rows()) * columns_.block_rows();
  std::int64_t size = std::max<std::int64_t>(1, n_tasks);
  if (between_)
    size = std::max<std::int64_t>(
               1, static_cast<std::int64_t>(step_work_ / (pairs * group * rows_.d()))) *
           group;
  for (std::int64_t begin = 0; begin < n_tasks; begin += size) {
    const std::int64_t count = std::min(size, n_tasks - begin);
    ++step_;
    if (only_count_) continue;
    if (step_ <= done_) {
      team_.advance(pairs * count);
      continue;
    }
    load();
    team_.run(count, [&](std::int64_t t, int worker) { task(begin + t, worker); });
    if (between_) between_(step_);
  }
}

// `count` rows from `first` on with themselves: panels at or right of the diagonal, and their
// mirror image.
void Filter::square(std::int64_t first, std::int64_t count, Worker& w) {
  const std::int64_t width = kernels_.panel;
  for (std::int64_t p = 0; p < count; p += width)
    kernels_.product(rows_.panel(0, first + p), 1, rows_.panel(0, first + p), (count - p) / width,
                     rows_.d(), w.tile.data() + p * w.stride + p, w.stride);
  for (std::int64_t r = width; r < count; ++r)
    for (std::int64_t c = 0; c < r / width * width; ++c)
      w.tile.data()[r * w.stride + c] = w.tile.data()[c * w.stride + r];
}

// Block i of the rows' superblock s with block j of the columns' superblock `other`.
void Filter::multiply(std::int64_t s, std::int64_t i, int slot, std::int64_t other, std::int64_t j,
                      int worker) {
  Worker& w = workers_[worker];
  const std::int64_t block = rows_.block_rows();
  const std::int64_t row0 = rows_.first_row(s) + i * block;
  const std::int64_t col0 = columns_.first_row(other) + j * block;
  const std::int64_t n_rows = std::min(block, rows_.count() - row0);
  const std::int64_t n_cols = columns_.padded(std::min(block, columns_.count() - col0));
  const bool is_diagonal = all_pairs_ && row0 == col0;
  const bool is_met = is_diagonal || !all_pairs_;  // a row may stand among the columns
  if (is_diagonal)
    square(i * block, n_cols, w);
  else
    kernels_.product(rows_.panel(0, i * block), ceil_div(n_rows, kernels_.panel),
                     columns_.panel(slot, j * block), n_cols / kernels_.panel, rows_.d(),
                     w.tile.data(), w.stride);
  team_.advance(static_cast<double>(n_rows) * n_cols);

  Candidates* const of_columns = all_pairs_ && !is_diagonal ? &candidates_ : of_columns_;
  std::unique_lock rows_lock(locks_[row0 / block], std::defer_lock);
  std::unique_lock<std::mutex> columns_lock;
  if (of_columns) {
    std::vector<std::mutex>& locks = of_columns_ ? column_locks_ : locks_;
    columns_lock = std::unique_lock(locks[col0 / block], std::defer_lock);
    std::lock(rows_lock, columns_lock);
  } else {
    rows_lock.lock();
  }
  const float* half = columns_.half() + col0;
  // The columns' lists lie far apart: each is fetched at a hit, which is added when more have come.
  w.pending.clear();
  const auto add_pending = [&] {
    for (const Worker::Pending& p : w.pending) of_columns->add(p.column, p.hit);
    w.pending.clear();
  };
  for (std::int64_t r = 0; r < n_rows; ++r) {
    const std::int64_t row = row0 + r;
    const float* c = w.tile.data() + r * w.stride;
    std::int64_t n_row = 0, n_column = 0;
    if (r + kRowsAhead < n_rows) candidates_.prefetch(row + kRowsAhead);
    if (of_columns)
      kernels_.scan_both(c, half, candidates_.threshold(row), rows_.half()[row],
                         of_columns->thresholds() + col0, n_cols, w.row_hits.data(), &n_row,
                         w.column_hits.data(), &n_column);
    else {
      candidates_.expect(row, c, half, n_cols);
      n_row = kernels_.scan_row(c, half, candidates_.threshold(row), n_cols, w.row_hits.data());
    }
    if (is_met) {  // the row itself is no candidate
      const auto end = std::remove_if(
          w.row_hits.begin(), w.row_hits.begin() + n_row,
          [&](const Hit& h) { return columns_.id(col0 + h.column) == rows_.id(row); });
      n_row = end - w.row_hits.begin();
    }
    candidates_.expect(row, w.row_hits.data(), n_row);
    for (std::int64_t h = 0; h < n_row; ++h)
      candidates_.add(
          row, {w.row_hits[h].score, static_cast<std::int32_t>(col0 + w.row_hits[h].column)});
    for (std::int64_t h = 0; h < n_column; ++h) {
      const std::int64_t column = col0 + w.column_hits[h].column;
      if (is_met && columns_.id(column) == rows_.id(row)) continue;
      of_columns->prefetch(column);
      w.pending.push_back({column, {w.column_hits[h].score, static_cast<std::int32_t>(row)}});
    }
    if (w.pending.size() > kPending) add_pending();
  }
  add_pending();
}

}  // namespace ilo
