// The engine on a device, layer by layer: prepare, filter, decide, deal. device.h says what it is
// for.
//
// The host only queues work, and waits four times a layer: for the hashes of the rows (which are
// equal?), for the bounds (what can a certificate promise?), for the rows that stay open, and for
// the result.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "core/errors.h"
#include "cuda/cublaslt.h"
#include "cuda/deal.h"
#include "cuda/decide.h"
#include "cuda/device.h"
#include "cuda/equals.h"
#include "cuda/fused.h"
#include "cuda/mailbox.h"
#include "cuda/overlap_on_device.h"
#include "cuda/panels.h"
#include "cuda/plan.h"
#include "cuda/prepare.h"
#include "cuda/scan.h"
#include "cuda/upload.h"

namespace ilo::ILO_MACHINE {

// For the error bound of knn/certificate.h, in units of 2^-24: what a tensor core may lose of a
// product of d terms. It is no IEEE adder. Per step it adds g products (exact) to the sum so far,
// aligned to the largest of these g + 1 addends, of each of which what lies below 2^-23 of the
// largest may be cut off; so may what lies below 2^-23 of the new sum. No addend and no sum exceeds
// the sum of all magnitudes, P: a step loses at most (g + 2) 2^-23 P, all d / g steps d (1 + 2/g)
// 2^-23 P. g is 8 on an A100 and 16 on an H100 (4 on a V100, for which nothing is built; Fasi,
// Higham, Mikaitis and Pranesh, PeerJ CS 7:e330, 2021; Li et al., arXiv 2403.00232): 2.5 d units,
// and 64 for steps that d does not fill. Fewer and better rounded operations, as of a product in
// plain float32, lose less.
inline std::int64_t tensor_core_roundings(std::int64_t d) { return (5 * d + 1) / 2 + 64; }
// Factors are at least 2^-110 and products of float16 at least 2^-48: two multiplications that may
// underflow, each by half of 2^-149.
constexpr double kUnderflow = 0x1p-148;

class Stopwatch {
 public:
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(now - std::exchange(last_, now)).count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

// Keeps the queue of the device short enough for Ctrl-C and progress, long enough that it never
// runs dry.
class Pace {
 public:
  Pace(cudaStream_t stream, Team& team, Uploader& uploader)
      : stream_(stream), team_(team), uploader_(uploader) {}

  // After every few launches: `work` in the units of Team::expect.
  void step(double work) {
    team_.advance(work);
    if (++steps_ % kSteps != 0) return;
    Event& older = events_[turn_ ^= 1];
    while (recorded_[turn_] && !older.ready() && uploader_.step()) team_.poll();
    if (recorded_[turn_]) older.synchronize();
    older.record(stream_);
    recorded_[turn_] = true;
    team_.poll();
  }

 private:
  static constexpr int kSteps = 16;
  cudaStream_t stream_;
  Team& team_;
  Uploader& uploader_;
  Event events_[2];
  bool recorded_[2] = {false, false};
  int turn_ = 0;
  std::int64_t steps_ = 0;
};

class Engine {
 public:
  Engine(const DeviceInput& input, const DeviceOptions& options, const DeviceResult& result,
         Team& team)
      : input_(input),
        options_(options),
        result_(result),
        team_(team),
        stream_(reinterpret_cast<cudaStream_t>(options.stream)),
        uploader_(stream_),
        mailbox_(stream_),
        base_(layer_, uploader_, mailbox_, stream_),
        queries_(layer_, uploader_, mailbox_, stream_),
        batch_(layer_, uploader_, mailbox_, stream_),
        pace_(stream_, team, uploader_),
        library_(may_use_library(input, options) ? options.library : kNoLibrary),
        n_(input.n()),
        n_asked_(input.n_asked()),
        all_pairs_(n_ == input.n_base),
        k_(static_cast<int>(options.n_neighbors)) {
    choose_product();
    layer_.d = input.d;
    layer_.dtype = input.dtype;
    layer_.col_stride = input.col_stride;
    layer_.on_device = input.segments.front().on_device;
    for (const DeviceSegment& s : input.segments)
      if (s.on_device != layer_.on_device)
        throw InvalidArgument("X lies partly in the host's memory and partly in the device's");
    taken_ = result.overlap_input ? DeviceOverlap::bytes(*result.overlap_input) : 0;
  }
  ~Engine() {  // what is still queued may work on what is about to go
    (void)cudaStreamSynchronize(stream_);
    uploader_.abandon();
  }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  std::vector<DeviceInfo> run() {
    std::int64_t budget = options_.max_memory > 0 ? options_.max_memory : free_memory();
    std::vector<DeviceInfo> infos;
    std::int64_t retries = 0;
    while (static_cast<std::int64_t>(infos.size()) < input_.n_layers) {
      const auto h = static_cast<std::int64_t>(infos.size());
      look_at(h);
      plan_ = make_plan(input_, options_, layer_, budget, taken_);
      const double of_layer = work_of(input_, plan_.group_rows);
      team_.expect(static_cast<double>(input_.n_layers) * of_layer);
      team_.arrive(static_cast<double>(h) * of_layer);
      try {
        infos.push_back(run_layer(h));
        infos.back().retries = retries;
      } catch (const OutOfMemory& error) {
        // Somebody else took what seemed free, or it lies in pieces: once more, with less.
        release();
        budget /= 2;
        if (++retries > kRetries)
          throw InvalidArgument(text("the GPU's memory does not suffice: ", error.what(),
                                     ". Free some of it (torch.cuda.empty_cache()), or use "
                                     "backend='exact'"));
      }
    }
    return infos;
  }

  // For tests: the certificate's lower bound of |z_i - z_j| for all rows i, j of the only layer,
  // [n][n], from scores of the fused kernel. Returns the scale of z.
  double certified_bounds(double* bounds) {
    look_at(0);
    plan_ = make_plan(input_, options_, layer_, free_memory(), taken_);
    fused_ = true;
    bring(0);
    measure();
    arrange();
    const std::int64_t n = base_.size();
    memory_.hits.reserve(n * n);
    const Lists lists{memory_.hits.data(), memory_.count.data(), memory_.threshold.data(),
                      memory_.lost.data(), static_cast<int>(n)};
    launch(stream_, dim3(blocks_for(n, n)), dim3(kBlock), 0, clear_lists, 0, static_cast<int>(n),
           lists);
    const Side all = base_.get(0).side;
    multiply(all, all, true, lists, asking(), false);
    const std::vector<Hit> hits = to_host(stream_, lists.hits, n * n);
    const std::vector<int> count = to_host(stream_, lists.count, n);
    const std::vector<RowBound> bound = to_host(stream_, base_.bound(), n);
    std::fill_n(bounds, n_ * n_, 0.0);  // of equal rows, and of themselves
    for (std::int64_t a = 0; a < n; ++a)
      for (int h = 0; h < count[a]; ++h) {
        const Hit& hit = hits[a * n + h];
        const double low = certificate_->lower_bound(hit.score, bound[a], bound[hit.column]);
        for_members(asked_ids_[a], [&](int i) {
          for_members(asked_ids_[hit.column], [&](int j) { bounds[i * n_ + j] = low; });
        });
      }
    return layer_.scale;
  }

 private:
  static constexpr int kRetries = 6;

  static std::int64_t free_memory() {
    std::size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "asking for free memory");
    return static_cast<std::int64_t>(static_cast<double>(free) * 0.92);
  }

  // Up to so many values the traffic of a tile costs more than the library's better product gains.
  static constexpr std::int64_t kFusedUpTo = 1024;

  static bool may_use_library(const DeviceInput& input, const DeviceOptions& options) {
    return options.product == "library" || (options.product.empty() && input.d > kFusedUpTo);
  }

  void choose_product() {
    const std::string& wanted = options_.product;
    if (!wanted.empty() && wanted != "library" && wanted != "fused")
      throw InvalidArgument("product='" + wanted + "' is not 'library' or 'fused'");
    if (wanted == "library" && !library_.available())
      throw InvalidArgument("cuBLASLt is not to be had: " + library_.problem());
    fused_ = !library_.available();
  }

  // All memory of the device that is kept from layer to layer.
  struct Memory {
    Buffer<std::byte> rows[2];  // of a layer and of the next, if they come from the host
    Buffer<const std::byte*> pointers;
    Buffer<double> multiplier, norm, sums, centre;
    Buffer<unsigned long long> hash, measured;
    Buffer<Facts> facts;
    Buffer<int> pair_numbers;
    Buffer<const std::byte*> pair_pointers;
    Buffer<std::byte> pair_rows;
    Buffer<std::uint8_t> equal;
    Buffer<int> unique_of, offset, members, asking_of;
    Buffer<int> own, asked_id, column_id, batch, batch_own;
    Buffer<Hit> hits, open_hits;
    Buffer<double> squared, open_squared;
    Buffer<int> count, open_count;
    Buffer<float> threshold, open_threshold, tile;
    Buffer<unsigned> lost, open_lost;
    Buffer<int> nearest_id, open, n_open;
    Buffer<double> nearest_squared, worst;
    Buffer<double> all_u, all_squared, all_scratch;
    Buffer<int> all_scratch_id;
    Buffer<std::int64_t> indices;
    Buffer<float> distances;
  };

  void release() {
    (void)cudaStreamSynchronize(stream_);
    uploader_.abandon();
    base_.release(), queries_.release(), batch_.release();
    overlap_.reset();
    memory_ = Memory{};
    held_[0] = held_[1] = -1;
  }

  DeviceInfo run_layer(std::int64_t h) {
    info_ = DeviceInfo{};
    info_.rows = input_.n_base;
    info_.queries = n_asked_;
    info_.tile_rows = plan_.tile;
    info_.product = fused_ ? "fused" : library_.name();
    watch_.lap();
    bring(h);
    try {
      measure();
    } catch (const BadRow& bad) {
      const bool in_base = bad.row < input_.n_base;
      throw BadRow(in_base ? bad.row : bad.row - input_.n_base, bad.problem,
                   input_.n_layers == 1 ? -1 : h, in_base ? "X" : "queries");
    }
    arrange();
    if (h == 0) check_products();
    info_.seconds_prepare = watch_.lap();
    prefetch(h + 1);
    for (std::int64_t first = 0; first < asked().size(); first += plan_.group_rows)
      group(first, std::min(asked().size(), first + plan_.group_rows));
    finish(h);
    return info_;
  }

  // ---- the rows of a layer

  std::vector<const std::byte*> addresses(std::int64_t h) const {
    std::vector<const std::byte*> out;
    out.reserve(n_);
    for (const DeviceSegment& s : input_.segments)
      for (std::int64_t i = 0; i < s.n; ++i)
        out.push_back(s.data + h * s.layer_stride + i * s.row_stride);
    return out;
  }

  // The rows of layer h, where the caller has them.
  void look_at(std::int64_t h) {
    layer_.rows = addresses(h);
    layer_.on_device = input_.segments.front().on_device;
    layer_.col_stride = input_.col_stride;
  }

  // To the device, if that is the plan.
  void bring(std::int64_t h) {
    if (layer_.on_device || !plan_.is_resident) return;
    const int slot = static_cast<int>(h % 2);
    if (held_[slot] != h) start(h, slot);
    uploader_.finish();
    for (std::int64_t i = 0; i < n_; ++i)
      layer_.rows[i] = memory_.rows[slot].data() + i * layer_.row_bytes();
    layer_.col_stride = layer_.device_col_stride();
    layer_.on_device = true;
  }

  void start(std::int64_t h, int slot) {
    held_[slot] = -1;
    memory_.rows[slot].reserve(n_ * layer_.row_bytes());
    uploader_.begin(addresses(h), input_.d, input_.col_stride, size_of(input_.dtype),
                    memory_.rows[slot].data());
    held_[slot] = h;
  }

  void prefetch(std::int64_t h) {
    if (plan_.prefetches && h < input_.n_layers) start(h, static_cast<int>(h % 2));
  }

  // ---- norms, equal rows, the mean

  // call(values, first, count) for all rows, so many at a time as may lie on the device.
  template <class Call>
  void for_all_rows(Call call) {
    const std::int64_t step =
        layer_.on_device ? n_ : std::max<std::int64_t>(1, std::min(n_, plan_.panel_rows));
    Buffer<std::byte> raw;
    for (std::int64_t first = 0; first < n_; first += step) {
      const std::int64_t count = std::min(step, n_ - first);
      std::vector<const std::byte*> rows(layer_.rows.begin() + first,
                                         layer_.rows.begin() + first + count);
      if (!layer_.on_device) {
        raw.reserve(step * layer_.row_bytes());
        uploader_.begin(std::move(rows), layer_.d, layer_.col_stride, size_of(layer_.dtype),
                        raw.data());
        uploader_.finish();
        rows.resize(count);
        for (std::int64_t i = 0; i < count; ++i) rows[i] = raw.data() + i * layer_.row_bytes();
      }
      mailbox_.send(memory_.pointers, rows);
      call(Values{memory_.pointers.data(), layer_.device_col_stride(), layer_.d}, first, count);
      team_.poll();
    }
    if (!layer_.on_device) check(cudaStreamSynchronize(stream_), "looking at the rows");
  }

  void measure() {
    Memory& m = memory_;
    const bool cosine = options_.metric == Metric::cosine, wide = layer_.dtype == DType::f64;
    m.multiplier.reserve(n_), m.norm.reserve(n_), m.hash.reserve(n_);
    mailbox_.send(m.facts, std::vector<Facts>{{kNoRow, 0, 0}});
    multiplier_ = 1;
    if (wide && !cosine) {
      for_all_rows([&](const Values& v, std::int64_t, std::int64_t count) {
        launch(stream_, dim3(blocks_for(count * kLanes)), dim3(kBlock), 0, find_largest<F64>, v,
               count, m.facts.data());
      });
      const double largest = number(to_host(stream_, m.facts.data(), 1)[0].largest_value);
      if (largest > 0 && (largest > 0x1p400 || largest < 0x1p-400))
        multiplier_ = std::ldexp(1.0, std::min(1023, -std::ilogb(largest)));
    }
    const std::int64_t d = layer_.d;
    m.sums.reserve(kSlices * d), m.centre.reserve(d);
    check(cudaMemsetAsync(m.sums.data(), 0, kSlices * d * sizeof(double), stream_),
          "clearing the sums");
    layer_.norms = {m.multiplier.data(), m.norm.data()};
    with_dtype(layer_.dtype, [&](auto element) {
      using Element = decltype(element);
      for_all_rows([&](const Values& v, std::int64_t first, std::int64_t count) {
        launch(stream_, dim3(blocks_for(count * kLanes)), dim3(kBlock), 0, measure_rows<Element>, v,
               first, count, cosine, wide, multiplier_, m.multiplier.data(), m.norm.data(),
               m.hash.data(), m.facts.data());
        const std::int64_t slice = ceil_div(count, std::int64_t{kSlices});
        launch(stream_, dim3(static_cast<unsigned>(ceil_div(d, std::int64_t{128})), kSlices),
               dim3(128), 0, add_rows<Element>, v, first, count, slice, layer_.norms,
               m.sums.data());
      });
    });
    launch(stream_, dim3(static_cast<unsigned>(ceil_div(d, std::int64_t{128}))), dim3(128), 0,
           finish_centre, m.sums.data(), std::int64_t{kSlices}, d, n_, m.centre.data());
    const std::vector<unsigned long long> hashes = to_host(stream_, m.hash.data(), n_);
    const Facts facts = to_host(stream_, m.facts.data(), 1)[0];
    if (facts.bad != kNoRow) complain(static_cast<std::int64_t>(facts.bad / 2), facts.bad % 2);
    const double largest = number(facts.largest_norm);
    layer_.centre = m.centre.data();
    // As Rows::measure: |u - c| <= 2 max|u|.
    layer_.scale = largest > 0 ? 0.25 * std::ldexp(1.0, std::min(1023, -std::ilogb(largest))) : 1.0;
    equal_ =
        find_equal_rows(hashes, input_.n_base, [&](const auto& pairs) { return compare(pairs); });
    info_.unique_rows = equal_.n_columns;
  }

  static double number(unsigned long long bits) {
    double out;
    std::memcpy(&out, &bits, sizeof out);
    return out;
  }

  [[noreturn]] void complain(std::int64_t row, bool is_zero) {
    if (is_zero)
      throw BadRow(row,
                   "is a zero vector, which has no direction: metric='cosine' needs non-zero rows; "
                   "drop the row or use metric='euclidean'");
    Buffer<std::int64_t> column(1);
    Buffer<int> is_nan(1);
    with_dtype(layer_.dtype, [&](auto element) {
      at_rows({static_cast<int>(row)}, [&](const Values& v) {
        launch(stream_, dim3(1), dim3(1), 0, find_bad_value<decltype(element)>, v, std::int64_t{0},
               column.data(), is_nan.data());
      });
    });
    throw BadRow(
        row, text("holds ", to_host(stream_, is_nan.data(), 1)[0] ? "NaN" : "infinity", " (column ",
                  to_host(stream_, column.data(), 1)[0], "): every value must be finite"));
  }

  // call(values) for a few rows, whose values lie on the device meanwhile.
  template <class Call>
  void at_rows(const std::vector<int>& numbers, Call call) {
    std::vector<const std::byte*> rows;
    for (const int row : numbers) rows.push_back(layer_.rows[row]);
    if (!layer_.on_device) {
      memory_.pair_rows.reserve(numbers.size() * layer_.row_bytes());
      uploader_.begin(std::move(rows), layer_.d, layer_.col_stride, size_of(layer_.dtype),
                      memory_.pair_rows.data());
      uploader_.finish();
      rows.resize(numbers.size());
      for (std::size_t i = 0; i < rows.size(); ++i)
        rows[i] = memory_.pair_rows.data() + i * layer_.row_bytes();
    }
    mailbox_.send(memory_.pair_pointers, rows);
    call(Values{memory_.pair_pointers.data(), layer_.device_col_stride(), layer_.d});
  }

  std::vector<std::uint8_t> compare(const std::vector<std::pair<int, int>>& pairs) {
    std::vector<std::uint8_t> out;
    const std::size_t at_once =
        layer_.on_device ? std::size_t{1} << 16 : std::max<std::size_t>(1, plan_.panel_rows / 2);
    for (std::size_t begin = 0; begin < pairs.size(); begin += at_once) {
      const std::size_t count = std::min(at_once, pairs.size() - begin);
      std::vector<int> numbers;
      for (std::size_t p = begin; p < begin + count; ++p) {
        numbers.push_back(pairs[p].first);
        numbers.push_back(pairs[p].second);
      }
      mailbox_.send(memory_.pair_numbers, numbers);
      memory_.equal.reserve(count);
      at_rows(numbers, [&](const Values& v) {
        with_dtype(layer_.dtype, [&](auto element) {
          launch(stream_, dim3(blocks_for(count * kLanes)), dim3(kBlock), 0,
                 compare_rows<decltype(element)>, v, static_cast<std::int64_t>(count),
                 memory_.pair_numbers.data(), layer_.norms, memory_.equal.data());
        });
      });
      const auto equal = to_host(stream_, memory_.equal.data(), count);
      out.insert(out.end(), equal.begin(), equal.end());
      team_.poll();
    }
    return out;
  }

  // ---- who asks, who is searched, in what order

  // Within a panel unique rows are strewn about (in steps of a golden section), so that a tile is a
  // fair sample of it: rows that come in blocks, as languages do, would fill a list from a single
  // tile.
  static std::vector<int> strewn(const std::vector<int>& ids, std::int64_t panel_rows) {
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
    for (std::size_t i = 0; i < ids.size(); ++i) out[i] = equal_.first[ids[i]];
    return out;
  }

  const Panels& asked() const { return all_pairs_ ? base_ : queries_; }
  Panels& asked() { return all_pairs_ ? base_ : queries_; }

  void arrange() {
    Memory& m = memory_;
    std::vector<int> column_ids(equal_.n_columns);
    std::iota(column_ids.begin(), column_ids.end(), 0);
    column_ids = strewn(column_ids, plan_.panel_rows);
    asked_ids_ = column_ids;
    base_.assign(numbers_of(column_ids), plan_.panel_rows, plan_.is_resident);
    if (!all_pairs_) {
      std::vector<char> asks(equal_.count(), 0);
      for (std::int64_t row = input_.n_base; row < n_; ++row) asks[equal_.unique_of[row]] = 1;
      asked_ids_.clear();
      for (int g = 0; g < equal_.count(); ++g)
        if (asks[g]) asked_ids_.push_back(g);
      queries_.assign(numbers_of(asked_ids_), plan_.panel_rows, plan_.is_resident);
      std::vector<int> column_of(equal_.count(), -1);
      for (std::size_t c = 0; c < column_ids.size(); ++c)
        column_of[column_ids[c]] = static_cast<int>(c);
      own_.clear();
      for (const int g : asked_ids_) own_.push_back(column_of[g]);
      mailbox_.send(m.own, own_);
      queries_.pack();
    }
    base_.pack();
    info_.panels = base_.count();
    mailbox_.send(m.column_id, column_ids);
    if (!all_pairs_) mailbox_.send(m.asked_id, asked_ids_);
    std::vector<int> asking_of(equal_.count(), -1);
    for (std::size_t a = 0; a < asked_ids_.size(); ++a)
      asking_of[asked_ids_[a]] = static_cast<int>(a);
    mailbox_.send(m.asking_of, asking_of);
    mailbox_.send(m.unique_of, equal_.unique_of);
    mailbox_.send(m.offset, equal_.offset);
    mailbox_.send(m.members, equal_.members);

    certificate_ = std::make_unique<Certificate>(tensor_core_roundings(layer_.d), kUnderflow,
                                                 layer_.d, layer_.scale);
    for (const RowBound& b : to_host(stream_, base_.bound(), base_.size())) certificate_->admit(b);

    const std::size_t rows = asked().size();
    m.count.reserve(rows), m.threshold.reserve(rows), m.lost.reserve(rows);
    m.nearest_id.reserve(rows * k_), m.nearest_squared.reserve(rows * k_), m.worst.reserve(rows);
    m.open.reserve(rows), m.n_open.reserve(1), m.measured.reserve(1);
    check(cudaMemsetAsync(m.measured.data(), 0, sizeof(unsigned long long), stream_),
          "clearing a count");
  }

  // The certificate is as good as what it assumes of the device's arithmetic. So before anything
  // relies on it, some products of these very rows are compared with float64.
  void check_products() {
    Buffer<double> probed(2);
    launch(stream_, dim3(1), dim3(1), 0, probe_arithmetic, 1 + 0x1p-30, 1 - 0x1p-30, 0x1p-140f,
           probed.data());
    if (to_host(stream_, probed.data(), 2) != std::vector<double>{0, 0x1p-140})
      throw std::runtime_error(
          "the engine for GPUs was built with fast arithmetic (-use_fast_math, --fmad or --ftz): "
          "it "
          "needs every operation rounded by itself; build it without such flags");
    constexpr int kRows = 64;
    const Panels::Panel panel = base_.get(0);
    const Side rows = part(panel.side, 0, kRows);
    const int c0 = std::max(0, panel.count - kRows);
    const Side columns = part(panel.side, c0, kRows);
    Buffer<Hit> hits(kRows * kRows);
    Buffer<int> count(kRows), which;
    Buffer<float> threshold(kRows);
    Buffer<unsigned> lost(kRows);
    Buffer<double> u(rows.count * layer_.d), squared(kRows * kRows);
    const Lists lists{hits.data(), count.data(), threshold.data(), lost.data(), kRows};
    launch(stream_, dim3(1), dim3(kBlock), 0, clear_lists, 0, rows.count, lists);
    multiply(rows, columns, false, lists, Asking{nullptr, nullptr}, false, false);
    std::vector<int> numbers(rows.count);
    std::iota(numbers.begin(), numbers.end(), 0);
    mailbox_.send(which, numbers);
    with_dtype(layer_.dtype, [&](auto element) {
      using Element = decltype(element);
      launch(stream_, dim3(rows.count), dim3(kBlock), 0, rows_to_float64<Element>, which.data(),
             panel.values, panel.numbers, layer_.norms, u.data());
      Values values = panel.values;
      values.rows += c0;
      for (int r = 0; r < rows.count; r += kAtOnce)
        launch(stream_, dim3(blocks_for(columns.count * kLanes)), dim3(kBlock), 0,
               measure_all<Element>, u.data() + r * layer_.d, std::min(kAtOnce, rows.count - r), 0,
               columns.count, values, panel.numbers + c0, layer_.norms, std::int64_t{kRows},
               squared.data() + r * kRows);
    });
    const std::vector<Hit> found = to_host(stream_, hits.data(), kRows * kRows);
    const std::vector<int> counts = to_host(stream_, count.data(), rows.count);
    const std::vector<double> exact = to_host(stream_, squared.data(), kRows * kRows);
    const std::vector<RowBound> bound = to_host(stream_, base_.bound(), panel.count);
    for (int r = 0; r < rows.count; ++r) {
      bool good = counts[r] == columns.count - (r >= c0);
      for (int h = 0; good && h < counts[r]; ++h) {
        const Hit& hit = found[r * kRows + h];
        const double distance = layer_.scale * std::sqrt(exact[r * kRows + hit.column - c0]);
        const RowBound &i = bound[r], &j = bound[hit.column];
        good = certificate_->lower_bound(hit.score, i, j) <= distance * (1 + 0x1p-30) &&
               certificate_->upper_bound(hit.score, i, j) >= distance * (1 - 0x1p-30);
      }
      if (!good)
        throw std::runtime_error(
            text("the products that this device computes (", info_.product,
                 ") differ from float64 by more than the engine allows for, or are not all there: "
                 "please report this; backend='exact' gives the graph"));
    }
  }

  Asking asking() const { return {asked().bound(), all_pairs_ ? nullptr : memory_.own.data()}; }

  // ---- lists and proofs of the rows first .. last that ask

  void group(std::int64_t first, std::int64_t last) {
    Memory& m = memory_;
    const std::int64_t rows = last - first;
    m.hits.reserve(rows * plan_.capacity), m.squared.reserve(rows * plan_.capacity);
    const Lists lists{m.hits.data(),
                      m.count.data(),
                      m.threshold.data(),
                      m.lost.data(),
                      static_cast<int>(plan_.capacity),
                      static_cast<int>(first)};
    launch(stream_, dim3(blocks_for(rows, rows)), dim3(kBlock), 0, clear_lists,
           static_cast<int>(first), static_cast<int>(rows), lists);
    const int p0 = static_cast<int>(first / asked().panel_rows());
    const int p1 = static_cast<int>(ceil_div(last, asked().panel_rows()));
    filter(p0, p1, lists);
    wait();
    info_.seconds_filter += watch_.lap();

    Deciding deciding = everything(lists, m.squared.data(), nullptr);
    deciding.none_is_proved = options_.force_widening;
    decide(asked(), p0, p1, deciding);
    wait();
    const auto n_open = static_cast<std::size_t>(to_host(stream_, m.n_open.data(), 1)[0]);
    std::vector<int> open = to_host(stream_, m.open.data(), n_open);
    std::sort(open.begin(), open.end());
    info_.candidates_per_row =
        static_cast<double>(to_host(stream_, m.measured.data(), 1)[0]) / asked().size();
    info_.seconds_rerank += watch_.lap();

    for (const int a : open) info_.widened_rows += answers(asked_ids_[a]);
    if (!open.empty()) team_.expect_more(static_cast<double>(open.size()) * base_.size());
    for (std::size_t begin = 0; begin < open.size(); begin += plan_.open_rows)
      widen({open.begin() + begin,
             open.begin() + std::min<std::size_t>(open.size(), begin + plan_.open_rows)});
    info_.seconds_widen += watch_.lap();
  }

  template <class Visit>
  void for_members(int g, Visit visit) const {
    for (int m = equal_.offset[g]; m < equal_.offset[g + 1]; ++m) visit(equal_.members[m]);
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
    const auto begin = equal_.members.begin() + equal_.offset[g],
               end = equal_.members.begin() + equal_.offset[g + 1];
    const auto base_end = std::lower_bound(begin, end, static_cast<int>(input_.n_base));
    return all_pairs_ ? base_end - begin : end - base_end;
  }

  Deciding everything(const Lists& lists, double* squared, const int* asked_rows) {
    Memory& m = memory_;
    Deciding out{};
    out.lists = lists;
    out.squared = squared;
    out.asked = asked_rows;
    out.asking = asking();
    out.column_id = m.column_id.data();
    out.column_bound = base_.bound();
    out.n_columns = equal_.n_columns;
    out.k = k_;
    out.nearest_id = m.nearest_id.data();
    out.nearest_squared = m.nearest_squared.data();
    out.worst = m.worst.data();
    out.open = m.open.data();
    out.n_open = m.n_open.data();
    out.measured = m.measured.data();
    return out;
  }

  // Both sides of all pairs of panels p0 .. p1, and their rows against all other columns.
  void filter(int p0, int p1, const Lists& lists) {
    // A sample of the columns, all of which the empty lists take, gives the first thresholds.
    const int sample = static_cast<int>(std::min<std::int64_t>(plan_.capacity, plan_.tile));
    for (int p = p0; p < p1; ++p) {
      const Panels::Panel rows = asked().get(p), columns = all_pairs_ ? rows : base_.get(0);
      Side few = columns.side;
      few.count = std::min(few.count, sample);
      multiply(rows.side, few, false, lists, asking(), false, false);
      launch(stream_, dim3(rows.count), dim3(kBlock), 0, take_thresholds, rows.first, asking(),
             *certificate_, k_, lists);
    }
    for (int p = p0; p < p1; ++p) {
      for (int q = 0; q < base_.count(); ++q) {
        if (all_pairs_ && q >= p0 && q < p) continue;  // done from the other side
        const bool both = all_pairs_ && q >= p0 && q < p1;
        const Panels::Panel rows = asked().get(p), columns = base_.get(q);
        base_.prefetch(all_pairs_ && q + 1 >= p0 && q + 1 <= p ? p + 1 : q + 1);
        multiply(rows.side, columns.side, both, lists, asking());
        cut(rows.side, lists);
        if (both && q != p) cut(columns.side, lists);
      }
    }
  }

  void cut(const Side& rows, const Lists& lists) {
    launch(stream_, dim3(ceil_div(rows.count, kCutRows)), dim3(kBlock), 0, cut_lists, rows.first,
           rows.count, asking(), *certificate_, k_, lists);
  }

  static Side part(const Side& side, int begin, std::int64_t most) {
    Side out = side;
    out.packed += begin * side.stride;
    out.factor += begin;
    out.half += begin;
    out.first += begin;
    out.count = static_cast<int>(std::min<std::int64_t>(most, side.count - begin));
    return out;
  }

  // All products of rows and columns, tile by tile, and their hits. Lists of rows are cut on the
  // way where these are the lists' own numbers (`cuts`).
  void multiply(const Side& rows, const Side& columns, bool both, const Lists& lists,
                const Asking& who, bool cuts = true, bool is_progress = true) {
    const bool same = both && rows.first == columns.first;
    const std::int64_t side = fused_ ? std::min(2 * plan_.tile, plan_.cut_every) : plan_.tile;
    if (!fused_) memory_.tile.reserve(plan_.tile * plan_.tile);
    std::int64_t rows_since_cut = 0;
    for (int r = 0; r < rows.count; r += static_cast<int>(side)) {
      const Side a = part(rows, r, side);
      std::int64_t columns_since_cut = 0;
      for (int c = same ? r : 0; c < columns.count; c += static_cast<int>(side)) {
        const Side b = part(columns, c, side);
        if (fused_) {
          fused_filter(stream_, a, b, layer_.d, both, lists, lists, who.own);
        } else {
          library_.product(stream_, a.packed, a.stride, a.count, b.packed, b.stride, b.count,
                           a.stride, memory_.tile.data(), plan_.tile);
          launch(stream_,
                 dim3(static_cast<unsigned>(ceil_div(b.count, kScanColumns)),
                      static_cast<unsigned>(ceil_div(a.count, kScanRows))),
                 dim3(kScanThreads), 0, scan_tile, memory_.tile.data(), plan_.tile, a, b, who,
                 both && a.first != b.first, lists);
        }
        if (cuts && (columns_since_cut += side) >= plan_.cut_every) {
          cut(a, lists);
          columns_since_cut = 0;
        }
        const double pairs = static_cast<double>(a.count) * b.count;
        pace_.step(is_progress ? (same && a.first == b.first ? 0.5 * pairs : pairs) : 0);
      }
      if (!cuts) continue;
      cut(a, lists);
      if (both && (rows_since_cut += side) >= plan_.cut_every) {
        cut(columns, lists);
        rows_since_cut = 0;
      }
    }
  }

  // Float64 for the lists of panels p0 .. p1 of `rows`.
  void decide(Panels& rows, int p0, int p1, const Deciding& in) {
    Memory& m = memory_;
    check(cudaMemsetAsync(m.n_open.data(), 0, sizeof(int), stream_), "clearing a count");
    const bool keep_row = layer_.d * sizeof(double) <= kMostShared;
    const std::size_t shared = keep_row ? layer_.d * sizeof(double) : 0;
    const auto for_rows = [&](auto call) {
      for (int p = p0; p < p1; ++p) call(rows.get(p));
    };
    const auto measure_marked = [&] {
      for (int p = p0; p < p1; ++p)
        for (int q = 0; q < base_.count(); ++q) {
          const Panels::Panel a = rows.get(p), b = base_.get(q);
          base_.prefetch(q + 1);
          with_dtype(layer_.dtype, [&](auto element) {
            launch(stream_, dim3(a.count), dim3(kBlock), shared, measure_chosen<decltype(element)>,
                   a.first, a.values, a.numbers, b.first, b.count, b.values, b.numbers,
                   layer_.norms, keep_row, in);
          });
          team_.poll();
        }
    };
    for_rows([&](const Panels::Panel& a) {
      launch(stream_, dim3(a.count), dim3(kBlock), 0, choose_best, a.first, in);
    });
    measure_marked();
    for_rows([&](const Panels::Panel& a) {
      launch(stream_, dim3(a.count), dim3(kBlock), 0, choose_hopeful, a.first, in, *certificate_);
    });
    measure_marked();
    for_rows([&](const Panels::Panel& a) {
      launch(stream_, dim3(a.count), dim3(kBlock), 0, conclude, a.first, in, *certificate_);
    });
  }
  static constexpr std::size_t kMostShared = 64 * 1024;

  // ---- rows without proof

  // They meet every column again, with a threshold that proves them and longer lists.
  void widen(const std::vector<int>& open) {
    Memory& m = memory_;
    const auto rows = static_cast<int>(open.size());
    std::vector<int> ids, own_columns;
    for (const int a : open) ids.push_back(asked_ids_[a]);
    batch_.assign(numbers_of(ids), rows, plan_.is_resident);
    mailbox_.send(m.batch, open);
    for (const int a : open) own_columns.push_back(all_pairs_ ? a : own_[a]);
    mailbox_.send(m.batch_own, own_columns);

    const std::size_t capacity = plan_.open_capacity;
    m.open_hits.reserve(rows * capacity), m.open_squared.reserve(rows * capacity);
    m.open_count.reserve(rows), m.open_threshold.reserve(rows), m.open_lost.reserve(rows);
    const Lists lists{m.open_hits.data(), m.open_count.data(), m.open_threshold.data(),
                      m.open_lost.data(), static_cast<int>(capacity)};
    const Deciding deciding = everything(lists, m.open_squared.data(), m.batch.data());
    launch(stream_, dim3(blocks_for(rows)), dim3(kBlock), 0, set_thresholds, rows, deciding,
           *certificate_);
    for (int q = 0; q < base_.count(); ++q) {
      const Panels::Panel columns = base_.get(q);
      base_.prefetch(q + 1);
      multiply(batch_.get(0).side, columns.side, false, lists, Asking{nullptr, m.batch_own.data()},
               false);
    }
    decide(batch_, 0, 1, deciding);
    const int still_open = to_host(stream_, m.n_open.data(), 1)[0];
    const std::vector<int> left = to_host(stream_, m.open.data(), still_open);
    for (const int row : left) info_.measured_rows += answers(ids[row]);
    for (int begin = 0; begin < still_open; begin += kAtOnce)
      measure_everything(begin, std::min(kAtOnce, still_open - begin), deciding);
  }

  // The float64 distances of a few open rows to every column.
  void measure_everything(int begin, int count, const Deciding& in) {
    Memory& m = memory_;
    const std::int64_t columns = base_.size();
    m.all_u.reserve(kAtOnce * layer_.d), m.all_squared.reserve(kAtOnce * columns);
    m.all_scratch.reserve(kAtOnce * k_), m.all_scratch_id.reserve(kAtOnce * k_);
    const Panels::Panel rows = batch_.get(0);
    const int* which = m.open.data() + begin;
    with_dtype(layer_.dtype, [&](auto element) {
      using Element = decltype(element);
      launch(stream_, dim3(count), dim3(kBlock), 0, rows_to_float64<Element>, which, rows.values,
             rows.numbers, layer_.norms, m.all_u.data());
      for (int q = 0; q < base_.count(); ++q) {
        const Panels::Panel b = base_.get(q);
        launch(stream_, dim3(blocks_for(std::int64_t{b.count} * kLanes)), dim3(kBlock), 0,
               measure_all<Element>, m.all_u.data(), count, b.first, b.count, b.values, b.numbers,
               layer_.norms, columns, m.all_squared.data());
      }
    });
    launch(stream_, dim3(count), dim3(kBlock), 0, conclude_all, which, m.all_squared.data(),
           columns, m.all_scratch.data(), m.all_scratch_id.data(), in);
    pace_.step(0);
  }

  // ---- the result

  void finish(std::int64_t h) {
    Memory& m = memory_;
    const std::size_t size = static_cast<std::size_t>(n_asked_) * k_;
    m.indices.reserve(size), m.distances.reserve(size);
    Dealing in{};
    in.equals = {m.unique_of.data(), m.offset.data(), m.members.data(),
                 static_cast<int>(input_.n_base)};
    in.asking_of = m.asking_of.data();
    in.n_columns = equal_.n_columns;
    in.first_number = all_pairs_ ? 0 : static_cast<int>(input_.n_base);
    in.k = k_;
    in.nearest_id = m.nearest_id.data();
    in.nearest_squared = m.nearest_squared.data();
    in.cosine = options_.metric == Metric::cosine;
    in.multiplier = multiplier_;
    launch(stream_, dim3(blocks_for(n_asked_, n_asked_)), dim3(kBlock), 0, deal,
           static_cast<int>(n_asked_), in, m.indices.data(), m.distances.data());
    const auto fetch = [&](auto* to, const auto* from) {
      if (!to) return;
      check(cudaMemcpyAsync(to + h * size, from, size * sizeof *from, cudaMemcpyDeviceToHost,
                            stream_),
            "fetching the graph");
    };
    fetch(result_.indices, m.indices.data());
    fetch(result_.distances, m.distances.data());
    check(cudaStreamSynchronize(stream_), "fetching the graph");
    if (result_.overlap_input) {
      if (!overlap_) overlap_ = std::make_unique<DeviceOverlap>(*result_.overlap_input, stream_);
      overlap_->count(m.indices.data(), h, result_.overlap);
    }
    info_.certified_rows = n_asked_ - info_.widened_rows;
    info_.seconds_rerank += watch_.lap();
  }

  const DeviceInput& input_;
  const DeviceOptions& options_;
  const DeviceResult& result_;
  Team& team_;
  cudaStream_t stream_;
  Memory memory_;  // before what may still be copying into it
  Uploader uploader_;
  Mailbox mailbox_;
  Layer layer_;
  Panels base_, queries_,
      batch_;  // what is searched, what asks if that is something else, open rows
  Pace pace_;
  LibraryProduct library_;
  std::int64_t n_, n_asked_;
  bool all_pairs_, fused_ = false;
  int k_;
  Plan plan_;
  std::int64_t taken_ = 0;           // bytes of the device's memory for the counting of overlaps
  std::int64_t held_[2] = {-1, -1};  // layers in memory_.rows
  double multiplier_ = 1;            // of all values, under the Euclidean metric
  EqualRows equal_;
  std::vector<int> asked_ids_;  // unique rows that ask, by number
  std::vector<int> own_;        // if others ask than are searched: their own columns, or -1
  std::unique_ptr<Certificate> certificate_;
  std::unique_ptr<DeviceOverlap> overlap_;
  Event queued_;
  DeviceInfo info_;
  Stopwatch watch_;
};

}  // namespace ilo::ILO_MACHINE
