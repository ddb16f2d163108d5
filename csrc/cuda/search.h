// From prepared rows to the nearest unique rows of each: filter, float64, proof; and what happens
// to rows without proof.
#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "cuda/device.h"
#include "cuda/device_rows.h"
#include "cuda/kernels/decide.h"
#include "cuda/kernels/scan.h"
#include "cuda/panels.h"
#include "cuda/plan.h"
#include "cuda/products.h"
#include "cuda/staging_buffer.h"

namespace ilo::gpu {

class Stopwatch {
 public:
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(now - std::exchange(last_, now)).count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

class Search {
 public:
  Search(const DeviceInput& input, const DeviceOptions& options, Team& team, cudaStream_t stream,
         Uploader& uploader, StagingBuffer& staging, const DeviceRows& rows, Products& products,
         Pace& pace)
      : options_(options),
        team_(team),
        stream_(stream),
        uploader_(uploader),
        staging_(staging),
        rows_(rows),
        products_(products),
        pace_(pace),
        base_(rows.layer(), uploader, staging, stream),
        queries_(rows.layer(), uploader, staging, stream),
        batch_(rows.layer(), uploader, staging, stream),
        n_(input.n()),
        n_base_(input.n_base),
        all_pairs_(n_ == n_base_),
        k_(static_cast<int>(options.n_neighbors)) {}

  // What is queries of whom, of the rows as they are prepared now.
  void arrange(const Plan& plan, DeviceInfo& info) {
    Memory& m = memory_;
    plan_ = &plan;
    column_ids_.resize(equals().n_columns);
    std::iota(column_ids_.begin(), column_ids_.end(), 0);
    column_ids_ = interleaved(column_ids_, plan.panel_rows);
    query_ids_ = column_ids_;
    base_.assign(numbers_of(column_ids_), plan_->panel_rows, plan_->is_resident);
    if (!all_pairs_) {
      std::vector<char> is_query(equals().count(), 0);
      for (std::int64_t row = n_base_; row < n_; ++row) is_query[equals().unique_of[row]] = 1;
      query_ids_.clear();
      for (int g = 0; g < equals().count(); ++g)
        if (is_query[g]) query_ids_.push_back(g);
      queries_.assign(numbers_of(query_ids_), plan_->panel_rows, plan_->is_resident);
      std::vector<int> column_of(equals().count(), -1);
      for (std::size_t c = 0; c < column_ids_.size(); ++c)
        column_of[column_ids_[c]] = static_cast<int>(c);
      own_columns_.clear();
      for (const int g : query_ids_) own_columns_.push_back(column_of[g]);
      staging_.send(m.own, own_columns_);
      queries_.pack();
    }
    base_.pack();
    info.panels = base_.count();
    staging_.send(m.column_id, column_ids_);
    std::vector<int> query_of(equals().count(), -1);
    for (std::size_t a = 0; a < query_ids_.size(); ++a)
      query_of[query_ids_[a]] = static_cast<int>(a);
    staging_.send(m.query_of, query_of);

    certificate_ = std::make_unique<Certificate>(tensor_core_roundings(layer().d), kUnderflow,
                                                 layer().d, layer().scale);
    for (const RowBound& b : to_host(stream_, base_.bound(), base_.size())) certificate_->admit(b);

    const std::size_t rows = query_panels().size();
    m.count.reserve(rows), m.threshold.reserve(rows), m.lost.reserve(rows);
    m.nearest_id.reserve(rows * k_), m.nearest_squared.reserve(rows * k_), m.worst.reserve(rows);
    m.uncertified.reserve(rows), m.n_uncertified.reserve(1), m.measured.reserve(1);
    check(cudaMemsetAsync(m.measured.data(), 0, sizeof(unsigned long long), stream_),
          "clearing a count");
    // Should rows change meanwhile, a place may stay empty: 0 is a row's number, too.
    check(cudaMemsetAsync(m.nearest_id.data(), 0, rows * k_ * sizeof(int), stream_),
          "clearing the neighbours");
  }

  // All query rows, as many at a time as the plan says.
  void run(DeviceInfo& info, Stopwatch& watch) {
    for (std::int64_t first = 0; first < query_panels().size(); first += plan_->group_rows)
      group(first, std::min(query_panels().size(), first + plan_->group_rows), info, watch);
  }
  void release() {
    base_.release(), queries_.release(), batch_.release();
    memory_ = Memory{};
  }

  Panels& base() { return base_; }
  const Certificate& certificate() const { return *certificate_; }
  // Unique rows by their numbers as columns.
  const std::vector<int>& column_ids() const { return column_ids_; }

  // What was found: [query rows][k], and the number of a unique row among them.
  const int* nearest_id() const { return memory_.nearest_id.data(); }
  const double* nearest_squared() const { return memory_.nearest_squared.data(); }
  const int* query_of() const { return memory_.query_of.data(); }

 private:
  struct Memory {
    Buffer<int> query_of, own, column_id, batch, batch_own;
    Buffer<Hit> hits, fallback_hits;
    Buffer<double> squared, fallback_squared;
    Buffer<int> count, fallback_count;
    Buffer<float> threshold, fallback_threshold;
    Buffer<unsigned> lost, fallback_lost;
    Buffer<int> nearest_id, uncertified, n_uncertified;
    Buffer<double> nearest_squared, worst;
    Buffer<unsigned long long> measured;
    Buffer<double> all_u, all_squared, all_scratch;
    Buffer<int> all_scratch_id;
  };

  const Layer& layer() const { return rows_.layer(); }
  const EqualRows& equals() const { return rows_.equals(); }

  // Within a panel unique rows are interleaved (in steps of a golden section), so that a tile is a
  // fair sample of it: rows that come in blocks, as languages do, would fill a list from a single
  // tile.
  static std::vector<int> interleaved(const std::vector<int>& ids, std::int64_t panel_rows) {
    const auto n = static_cast<std::int64_t>(ids.size());
    std::vector<int> out(n);
    for (std::int64_t first = 0; first < n; first += panel_rows) {
      const std::int64_t m = std::min(panel_rows, n - first);
      auto step = std::max<std::int64_t>(
          1, static_cast<std::int64_t>(static_cast<double>(m) * 0.6180339887498949));
      while (std::gcd(step, m) != 1) ++step;
      for (std::int64_t i = 0, at = 0; i < m; ++i, at = (at + step) % m)
        out[first + i] = ids[first + at];
    }
    return out;
  }

  std::vector<int> numbers_of(const std::vector<int>& ids) const {
    std::vector<int> out(ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) out[i] = equals().first[ids[i]];
    return out;
  }

  const Panels& query_panels() const { return all_pairs_ ? base_ : queries_; }
  Panels& query_panels() { return all_pairs_ ? base_ : queries_; }

  QueryRows query_rows() const {
    return {query_panels().bound(), all_pairs_ ? nullptr : memory_.own.data()};
  }

  // Filters and certifies the query rows first .. last.
  void group(std::int64_t first, std::int64_t last, DeviceInfo& info, Stopwatch& watch) {
    Memory& m = memory_;
    const std::int64_t rows = last - first;
    m.hits.reserve(rows * plan_->capacity), m.squared.reserve(rows * plan_->capacity);
    const Lists lists{m.hits.data(),
                      m.count.data(),
                      m.threshold.data(),
                      m.lost.data(),
                      static_cast<int>(plan_->capacity),
                      static_cast<int>(first)};
    launch(stream_, dim3(blocks_for(rows)), dim3(kBlock), 0, clear_lists, static_cast<int>(first),
           static_cast<int>(rows), lists);
    const int p0 = static_cast<int>(first / query_panels().panel_rows());
    const int p1 = static_cast<int>(ceil_div(last, query_panels().panel_rows()));
    filter(p0, p1, lists);
    wait();
    info.seconds_filter += watch.lap();

    Deciding deciding = everything(lists, m.squared.data(), nullptr);
    deciding.none_is_certified = options_.force_fallback;
    decide(query_panels(), p0, p1, deciding);
    wait();
    const auto n_uncertified =
        static_cast<std::size_t>(to_host(stream_, m.n_uncertified.data(), 1)[0]);
    std::vector<int> uncertified = to_host(stream_, m.uncertified.data(), n_uncertified);
    std::sort(uncertified.begin(), uncertified.end());
    info.candidates_per_row =
        static_cast<double>(to_host(stream_, m.measured.data(), 1)[0]) / query_panels().size();
    info.seconds_rerank += watch.lap();

    for (const int a : uncertified) info.fallback_rows += answers(query_ids_[a]);
    if (!uncertified.empty())
      team_.expect_more(static_cast<double>(uncertified.size()) * base_.size());
    for (std::size_t begin = 0; begin < uncertified.size(); begin += plan_->fallback_batch)
      fall_back({uncertified.begin() + begin,
                 uncertified.begin() +
                     std::min<std::size_t>(uncertified.size(), begin + plan_->fallback_batch)},
                info);
    info.seconds_fallback += watch.lap();
  }

  // For what is queued; rows that are to come are brought meanwhile.
  void wait() {
    queued_.record(stream_);
    while (!queued_.ready() && uploader_.step()) team_.poll();
    queued_.synchronize();
    team_.poll();
  }

  // Output rows that unique row g answers for.
  std::int64_t answers(int g) const {
    const auto begin = equals().members.begin() + equals().offset[g],
               end = equals().members.begin() + equals().offset[g + 1];
    const auto base_end = std::lower_bound(begin, end, static_cast<int>(n_base_));
    return all_pairs_ ? base_end - begin : end - base_end;
  }

  Deciding everything(const Lists& lists, double* squared, const int* query_numbers) {
    Memory& m = memory_;
    Deciding out{};
    out.lists = lists;
    out.squared = squared;
    out.query_of_row = query_numbers;
    out.queries = query_rows();
    out.column_id = m.column_id.data();
    out.column_bound = base_.bound();
    out.n_columns = equals().n_columns;
    out.k = k_;
    out.nearest_id = m.nearest_id.data();
    out.nearest_squared = m.nearest_squared.data();
    out.worst = m.worst.data();
    out.uncertified = m.uncertified.data();
    out.n_uncertified = m.n_uncertified.data();
    out.measured = m.measured.data();
    return out;
  }

  // Both sides of all pairs of panels p0 .. p1, and their rows against all other columns.
  void filter(int p0, int p1, const Lists& lists) {
    const Cutting cutting{query_rows(), &certificate(), k_};
    // A sample of the columns, all of which the empty lists take, gives the first thresholds.
    const int sample = static_cast<int>(std::min<std::int64_t>(plan_->capacity, plan_->tile));
    for (int p = p0; p < p1; ++p) {
      const Panels::Panel rows = query_panels().get(p), columns = all_pairs_ ? rows : base_.get(0);
      Side few = columns.side;
      few.count = std::min(few.count, sample);
      products_.multiply(rows.side, few, false, lists, query_rows(), *plan_, nullptr, false);
      launch(stream_, dim3(rows.count), dim3(kBlock), 0, take_thresholds, rows.first, query_rows(),
             certificate(), k_, lists);
    }
    for (int p = p0; p < p1; ++p) {
      for (int q = 0; q < base_.count(); ++q) {
        if (all_pairs_ && q >= p0 && q < p) continue;  // done from the other side
        const bool both = all_pairs_ && q >= p0 && q < p1;
        const Panels::Panel rows = query_panels().get(p), columns = base_.get(q);
        base_.prefetch(all_pairs_ && q + 1 >= p0 && q + 1 <= p ? p + 1 : q + 1);
        products_.multiply(rows.side, columns.side, both, lists, query_rows(), *plan_, &cutting,
                           true);
        products_.cut(rows.side, lists, cutting);
        if (both && q != p) products_.cut(columns.side, lists, cutting);
      }
    }
  }

  // Float64 for the lists of panels p0 .. p1 of `rows`.
  void decide(Panels& rows, int p0, int p1, const Deciding& in) {
    Memory& m = memory_;
    check(cudaMemsetAsync(m.n_uncertified.data(), 0, sizeof(int), stream_), "clearing a count");
    const bool keep_row = layer().d * sizeof(double) <= kMostShared;
    const std::size_t shared = keep_row ? layer().d * sizeof(double) : 0;
    const auto for_rows = [&](auto call) {
      for (int p = p0; p < p1; ++p) call(rows.get(p));
    };
    const auto measure_marked = [&] {
      for (int p = p0; p < p1; ++p)
        for (int q = 0; q < base_.count(); ++q) {
          const Panels::Panel a = rows.get(p), b = base_.get(q);
          base_.prefetch(q + 1);
          with_dtype(layer().dtype, [&](auto element) {
            launch(stream_, dim3(a.count), dim3(kBlock), shared, measure_chosen<decltype(element)>,
                   a.first, a.values, a.numbers, b.first, b.count, b.values, b.numbers,
                   layer().norms, keep_row, in);
          });
          team_.poll();
        }
    };
    for_rows([&](const Panels::Panel& a) {
      launch(stream_, dim3(a.count), dim3(kBlock), 0, choose_best, a.first, in);
    });
    measure_marked();
    for_rows([&](const Panels::Panel& a) {
      launch(stream_, dim3(a.count), dim3(kBlock), 0, choose_within_bound, a.first, in,
             certificate());
    });
    measure_marked();
    for_rows([&](const Panels::Panel& a) {
      launch(stream_, dim3(a.count), dim3(kBlock), 0, conclude, a.first, in, certificate());
    });
  }
  static constexpr std::size_t kMostShared = 64 * 1024;

  // ---- uncertified rows

  // They meet every column again, with a threshold that certifies them and longer lists.
  void fall_back(const std::vector<int>& uncertified, DeviceInfo& info) {
    Memory& m = memory_;
    const auto rows = static_cast<int>(uncertified.size());
    std::vector<int> ids, own_columns;
    for (const int a : uncertified) ids.push_back(query_ids_[a]);
    batch_.assign(numbers_of(ids), rows, plan_->is_resident);
    staging_.send(m.batch, uncertified);
    for (const int a : uncertified) own_columns.push_back(all_pairs_ ? a : own_columns_[a]);
    staging_.send(m.batch_own, own_columns);

    const std::size_t capacity = plan_->fallback_capacity;
    m.fallback_hits.reserve(rows * capacity), m.fallback_squared.reserve(rows * capacity);
    m.fallback_count.reserve(rows), m.fallback_threshold.reserve(rows),
        m.fallback_lost.reserve(rows);
    const Lists lists{m.fallback_hits.data(), m.fallback_count.data(), m.fallback_threshold.data(),
                      m.fallback_lost.data(), static_cast<int>(capacity)};
    const Deciding deciding = everything(lists, m.fallback_squared.data(), m.batch.data());
    launch(stream_, dim3(blocks_for(rows)), dim3(kBlock), 0, set_thresholds, rows, deciding,
           certificate());
    for (int q = 0; q < base_.count(); ++q) {
      const Panels::Panel columns = base_.get(q);
      base_.prefetch(q + 1);
      products_.multiply(batch_.get(0).side, columns.side, false, lists,
                         QueryRows{nullptr, m.batch_own.data()}, *plan_, nullptr, true);
    }
    decide(batch_, 0, 1, deciding);
    const int still_uncertified = to_host(stream_, m.n_uncertified.data(), 1)[0];
    const std::vector<int> left = to_host(stream_, m.uncertified.data(), still_uncertified);
    for (const int row : left) info.measured_rows += answers(ids[row]);
    for (int begin = 0; begin < still_uncertified; begin += plan_->measured_rows)
      measure_everything(begin, std::min(plan_->measured_rows, still_uncertified - begin),
                         deciding);
  }

  // The float64 distances of a few uncertified rows to every column.
  void measure_everything(int begin, int count, const Deciding& in) {
    Memory& m = memory_;
    const std::int64_t columns = base_.size(), d = layer().d;
    const std::size_t most = plan_->measured_rows;
    m.all_u.reserve(most * d), m.all_squared.reserve(most * columns);
    m.all_scratch.reserve(most * k_), m.all_scratch_id.reserve(most * k_);
    const Panels::Panel rows = batch_.get(0);
    const int* which = m.uncertified.data() + begin;
    with_dtype(layer().dtype, [&](auto element) {
      using Element = decltype(element);
      launch(stream_, dim3(count), dim3(kBlock), 0, rows_to_float64<Element>, which, rows.values,
             rows.numbers, layer().norms, m.all_u.data());
      for (int q = 0; q < base_.count(); ++q) {
        const Panels::Panel b = base_.get(q);
        base_.prefetch(q + 1);
        for (int r = 0; r < count; r += kAtOnce)
          launch(stream_, dim3(striding_blocks_for(std::int64_t{b.count} * kLanes)), dim3(kBlock),
                 0, measure_all<Element>, m.all_u.data() + r * d, std::min(kAtOnce, count - r),
                 b.first, b.count, b.values, b.numbers, layer().norms, columns,
                 m.all_squared.data() + r * columns);
      }
    });
    launch(stream_, dim3(count), dim3(kBlock), 0, conclude_all, which, m.all_squared.data(),
           columns, m.all_scratch.data(), m.all_scratch_id.data(), in);
    pace_.step(0);
  }

  const DeviceOptions& options_;
  Team& team_;
  cudaStream_t stream_;
  Memory memory_;  // before what may still be copying into it
  Uploader& uploader_;
  StagingBuffer& staging_;
  const DeviceRows& rows_;
  Products& products_;
  Pace& pace_;
  Panels base_, queries_;  // what is searched, and the query rows if they are others
  Panels batch_;           // uncertified rows
  std::int64_t n_, n_base_;
  bool all_pairs_;
  int k_;
  const Plan* plan_ = nullptr;
  std::vector<int> column_ids_;   // unique rows that are searched, by number
  std::vector<int> query_ids_;    // of the query rows
  std::vector<int> own_columns_;  // if the query rows are others: their columns, or -1
  std::unique_ptr<Certificate> certificate_;
  Event queued_;
};

}  // namespace ilo::gpu
