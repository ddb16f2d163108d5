// The rows of a layer: where they lie, what makes u of them, which are equal, and where they are
// seen from (what knn/rows.h is on the CPU).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "core/errors.h"
#include "cuda/device.h"
#include "cuda/equals.h"
#include "cuda/kernels/prepare.h"
#include "cuda/panels.h"
#include "cuda/plan.h"
#include "cuda/staging_buffer.h"
#include "cuda/upload.h"

namespace ilo::gpu {

class DeviceRows {
 public:
  DeviceRows(const DeviceInput& input, Metric metric, Team& team, cudaStream_t stream,
             Uploader& uploader, StagingBuffer& staging)
      : input_(input),
        metric_(metric),
        team_(team),
        stream_(stream),
        uploader_(uploader),
        staging_(staging),
        n_(input.n()) {
    layer_.d = input.d;
    layer_.dtype = input.dtype;
    for (const DeviceSegment& s : input.segments)
      if (s.on_device != input.segments.front().on_device)
        throw InvalidArgument("X lies partly in the host's memory and partly in the device's");
    look_at(0);
  }

  // The rows of layer h, where the caller has them.
  void look_at(std::int64_t h) {
    layer_.rows = addresses(h);
    layer_.on_device = input_.segments.front().on_device;
    layer_.col_stride = input_.col_stride;
  }

  // To the device, if that is the plan; and what has to be known of them. Says how many had not
  // come yet. Throws BadRow.
  std::int64_t prepare(std::int64_t h, const Plan& plan) {
    at_once_ = plan.panel_rows;
    is_copy_ = plan.is_resident && !layer_.on_device;
    const std::int64_t late = is_copy_ ? bring(h) : 0;
    naming(h, [&] { measure(); });
    return late;
  }
  // Throws BadRow if a row is no longer what it was in prepare(h): the caller's memory is read many
  // times unless it was copied first.
  void check_unchanged(std::int64_t h) {
    if (is_copy_) return;
    hash_rows();
    const std::vector<unsigned long long> now = to_host(stream_, hash_.data(), n_);
    const auto changed = std::mismatch(now.begin(), now.end(), hashes_.begin()).first;
    if (changed != now.end()) naming(h, [&] { throw BadRow(changed - now.begin(), kRowChanged); });
  }
  // Begins to bring the next layer.
  void prefetch(std::int64_t h) {
    if (h < input_.n_layers) start(h, static_cast<int>(h % 2));
  }
  // Gives the device's memory back.
  void release() {
    for (Buffer<std::byte>& rows : rows_) rows.release();
    pointers_.release(), multiplier_.release(), norm_.release(), sums_.release();
    centre_.release(), hash_.release(), statistics_.release(), few_numbers_.release();
    few_pointers_.release(), few_rows_.release(), equal_.release();
    held_[0] = held_[1] = -1;
  }

  const Layer& layer() const { return layer_; }
  const EqualRows& equals() const { return equals_; }
  // Of all values, under the Euclidean metric.
  double multiplier() const { return global_multiplier_; }

 private:
  // A BadRow that `call` throws says whose row it is, and in which layer.
  template <class Call>
  void naming(std::int64_t h, Call call) const {
    try {
      call();
    } catch (const BadRow& bad) {
      const bool in_base = bad.row < input_.n_base;
      throw BadRow(in_base ? bad.row : bad.row - input_.n_base, bad.problem,
                   input_.n_layers == 1 ? -1 : h, in_base ? "X" : "queries");
    }
  }

  std::vector<const std::byte*> addresses(std::int64_t h) const {
    std::vector<const std::byte*> out;
    out.reserve(n_);
    for (const DeviceSegment& s : input_.segments)
      for (std::int64_t i = 0; i < s.n; ++i)
        out.push_back(s.data + h * s.layer_stride + i * s.row_stride);
    return out;
  }

  std::int64_t bring(std::int64_t h) {
    const int slot = static_cast<int>(h % 2);
    if (held_[slot] != h) start(h, slot);
    const std::int64_t late = uploader_.remaining_rows();
    uploader_.finish();
    for (std::int64_t i = 0; i < n_; ++i)
      layer_.rows[i] = rows_[slot].data() + i * layer_.row_bytes();
    layer_.col_stride = layer_.device_col_stride();
    layer_.on_device = true;
    return late;
  }

  void start(std::int64_t h, int slot) {
    held_[slot] = -1;
    rows_[slot].reserve(n_ * layer_.row_bytes());
    uploader_.begin(addresses(h), input_.d, input_.col_stride, size_of(input_.dtype),
                    rows_[slot].data());
    held_[slot] = h;
  }

  // call(values, first, count) for all rows, so many at a time as may lie on the device.
  template <class Call>
  void for_all_rows(Call call) {
    const std::int64_t step =
        layer_.on_device ? n_ : std::max<std::int64_t>(1, std::min(n_, at_once_));
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
      staging_.send(pointers_, rows);
      call(Values{pointers_.data(), layer_.device_col_stride(), layer_.d}, first, count);
      team_.poll();
    }
    if (!layer_.on_device) check(cudaStreamSynchronize(stream_), "looking at the rows");
  }

  void measure() {
    const bool cosine = metric_ == Metric::cosine, wide = layer_.dtype == DType::f64;
    multiplier_.reserve(n_), norm_.reserve(n_), hash_.reserve(n_);
    staging_.send(statistics_, std::vector<RowStatistics>{{kNoRow, 0, 0}});
    global_multiplier_ = 1;
    if (wide && !cosine) {
      for_all_rows([&](const Values& v, std::int64_t, std::int64_t count) {
        launch(stream_, dim3(striding_blocks_for(count * kLanes)), dim3(kBlock), 0,
               find_largest<F64>, v, count, statistics_.data());
      });
      const double largest = number(to_host(stream_, statistics_.data(), 1)[0].largest_value);
      if (largest > 0 && (largest > 0x1p400 || largest < 0x1p-400))
        global_multiplier_ = std::ldexp(1.0, std::min(1023, -std::ilogb(largest)));
    }
    const std::int64_t d = layer_.d;
    sums_.reserve(kSlices * d), centre_.reserve(d);
    check(cudaMemsetAsync(sums_.data(), 0, kSlices * d * sizeof(double), stream_),
          "clearing the sums");
    layer_.norms = {multiplier_.data(), norm_.data()};
    with_dtype(layer_.dtype, [&](auto element) {
      using Element = decltype(element);
      for_all_rows([&](const Values& v, std::int64_t first, std::int64_t count) {
        launch_measure_rows<Element>(v, first, count);
        const std::int64_t slice = ceil_div(count, std::int64_t{kSlices});
        launch(stream_, dim3(static_cast<unsigned>(ceil_div(d, std::int64_t{128})), kSlices),
               dim3(128), 0, add_rows<Element>, v, first, count, slice, layer_.norms, sums_.data());
      });
    });
    launch(stream_, dim3(static_cast<unsigned>(ceil_div(d, std::int64_t{128}))), dim3(128), 0,
           finish_centre, sums_.data(), std::int64_t{kSlices}, d, n_, centre_.data());
    hashes_ = to_host(stream_, hash_.data(), n_);
    const RowStatistics statistics = to_host(stream_, statistics_.data(), 1)[0];
    if (statistics.bad != kNoRow)
      complain(static_cast<std::int64_t>(statistics.bad / 2), statistics.bad % 2);
    const double largest = number(statistics.largest_norm);
    layer_.centre = centre_.data();
    // As Rows::measure: |u - c| <= 2 max|u|.
    layer_.scale = largest > 0 ? 0.25 * std::ldexp(1.0, std::min(1023, -std::ilogb(largest))) : 1.0;
    equals_ =
        find_equal_rows(hashes_, input_.n_base, [&](const auto& pairs) { return compare(pairs); });
  }

  template <class Element>
  void launch_measure_rows(const Values& v, std::int64_t first, std::int64_t count) {
    launch(stream_, dim3(striding_blocks_for(count * kLanes)), dim3(kBlock), 0,
           measure_rows<Element>, v, first, count, metric_ == Metric::cosine,
           layer_.dtype == DType::f64, global_multiplier_, multiplier_.data(), norm_.data(),
           hash_.data(), statistics_.data());
  }

  // Once more what measure_rows says of every row.
  void hash_rows() {
    with_dtype(layer_.dtype, [&](auto element) {
      for_all_rows([&](const Values& v, std::int64_t first, std::int64_t count) {
        launch_measure_rows<decltype(element)>(v, first, count);
      });
    });
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
    const std::int64_t at = to_host(stream_, column.data(), 1)[0];
    if (at == layer_.d) throw BadRow(row, kRowChanged);
    throw BadRow(row, text("holds ", to_host(stream_, is_nan.data(), 1)[0] ? "NaN" : "infinity",
                           " (column ", at, "): every value must be finite"));
  }

  // call(values) for a few rows, whose values lie on the device meanwhile.
  template <class Call>
  void at_rows(const std::vector<int>& numbers, Call call) {
    std::vector<const std::byte*> rows;
    for (const int row : numbers) rows.push_back(layer_.rows[row]);
    if (!layer_.on_device) {
      few_rows_.reserve(numbers.size() * layer_.row_bytes());
      uploader_.begin(std::move(rows), layer_.d, layer_.col_stride, size_of(layer_.dtype),
                      few_rows_.data());
      uploader_.finish();
      rows.resize(numbers.size());
      for (std::size_t i = 0; i < rows.size(); ++i)
        rows[i] = few_rows_.data() + i * layer_.row_bytes();
    }
    staging_.send(few_pointers_, rows);
    call(Values{few_pointers_.data(), layer_.device_col_stride(), layer_.d});
  }

  std::vector<std::uint8_t> compare(const std::vector<std::pair<int, int>>& pairs) {
    std::vector<std::uint8_t> out;
    const std::size_t at_once =
        layer_.on_device ? std::size_t{1} << 16 : std::max<std::size_t>(1, at_once_ / 2);
    for (std::size_t begin = 0; begin < pairs.size(); begin += at_once) {
      const std::size_t count = std::min(at_once, pairs.size() - begin);
      std::vector<int> numbers;
      for (std::size_t p = begin; p < begin + count; ++p) {
        numbers.push_back(pairs[p].first);
        numbers.push_back(pairs[p].second);
      }
      staging_.send(few_numbers_, numbers);
      equal_.reserve(count);
      at_rows(numbers, [&](const Values& v) {
        with_dtype(layer_.dtype, [&](auto element) {
          launch(stream_, dim3(striding_blocks_for(count * kLanes)), dim3(kBlock), 0,
                 compare_rows<decltype(element)>, v, static_cast<std::int64_t>(count),
                 few_numbers_.data(), layer_.norms, equal_.data());
        });
      });
      const auto equal = to_host(stream_, equal_.data(), count);
      out.insert(out.end(), equal.begin(), equal.end());
      team_.poll();
    }
    return out;
  }

  const DeviceInput& input_;
  Metric metric_;
  Team& team_;
  cudaStream_t stream_;
  Uploader& uploader_;
  StagingBuffer& staging_;
  std::int64_t n_;
  std::int64_t at_once_ = 0;  // rows that may lie on the device, where not all do
  Layer layer_;
  EqualRows equals_;
  double global_multiplier_ = 1;
  bool is_copy_ = false;  // what is looked at is nobody else's
  std::vector<unsigned long long> hashes_;
  std::int64_t held_[2] = {-1, -1};  // layers in rows_
  Buffer<std::byte> rows_[2];        // of a layer and of the next, if they come from the host
  Buffer<const std::byte*> pointers_;
  Buffer<double> multiplier_, norm_, sums_, centre_;
  Buffer<unsigned long long> hash_;
  Buffer<RowStatistics> statistics_;
  Buffer<int> few_numbers_;
  Buffer<const std::byte*> few_pointers_;
  Buffer<std::byte> few_rows_;
  Buffer<std::uint8_t> equal_;
};

}  // namespace ilo::gpu
