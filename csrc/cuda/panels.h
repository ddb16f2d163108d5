// Rows as kernels take them, a panel at a time: where they lie, and packed in float16. All panels
// lie on the device if `resident`; else three of them, and the least recently used makes room for
// the next.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/arithmetic.h"
#include "cuda/kernels/lists.h"
#include "cuda/kernels/prepare.h"
#include "cuda/runtime.h"
#include "cuda/staging_buffer.h"
#include "cuda/upload.h"

namespace ilo::gpu {

constexpr int kStrideStep = 64;  // values: what the product kernels take at a time
constexpr unsigned kBlock = 256;

// A block for every kBlock threads; and no more than a GPU has use for, where a kernel goes on by
// itself.
inline unsigned blocks_for(std::int64_t threads) {
  return static_cast<unsigned>(ceil_div(threads, std::int64_t{kBlock}));
}
inline unsigned striding_blocks_for(std::int64_t threads) {
  return std::min(blocks_for(threads), 1u << 16);
}

template <class T>
std::vector<T> to_host(cudaStream_t stream, const T* from, std::size_t count) {
  std::vector<T> out(count);
  if (count == 0) return out;
  check(cudaMemcpyAsync(out.data(), from, count * sizeof(T), cudaMemcpyDeviceToHost, stream),
        "copying from the device");
  check(cudaStreamSynchronize(stream), "copying from the device");
  return out;
}

// Rows of a layer, by number; and how their u is made, once that is known.
struct Layer {
  std::vector<const std::byte*> rows;  // where they lie: on the device if `on_device`
  bool on_device = false;
  std::int64_t d = 0;
  std::ptrdiff_t col_stride = 0;
  DType dtype = DType::f32;
  Norms norms{};                   // on the device
  const double* centre = nullptr;  // on the device
  double scale = 1;

  std::int64_t row_bytes() const { return d * static_cast<std::int64_t>(size_of(dtype)); }
  std::int64_t stride() const { return ceil_div(d, kStrideStep) * kStrideStep; }
  // As they lie once they are on the device.
  std::ptrdiff_t device_col_stride() const {
    return on_device ? col_stride : static_cast<std::ptrdiff_t>(size_of(dtype));
  }
};

class Panels {
 public:
  Panels(const Layer& layer, Uploader& uploader, StagingBuffer& staging, cudaStream_t stream)
      : layer_(layer), uploader_(uploader), staging_(staging), stream_(stream) {}

  // From now on row p is row numbers[p] of the layer. Nothing is packed yet.
  void assign(std::vector<int> numbers, std::int64_t panel_rows, bool resident) {
    numbers_ = std::move(numbers);
    panel_rows_ = std::max<std::int64_t>(1, std::min<std::int64_t>(panel_rows, size()));
    slots_.resize(resident && layer_.on_device ? static_cast<std::size_t>(count()) : kSlots);
    for (Slot& slot : slots_) slot.panel = -1, slot.used = 0;  // the first is filled first
    coming_ = -1;
    staging_.send(device_numbers_, numbers_);
    factor_.reserve(size());
    half_.reserve(size());
    bound_.reserve(size());
  }
  void release() {
    slots_.clear();
    device_numbers_.release(), factor_.release(), half_.release(), bound_.release();
  }

  // Bytes that a panel of so many rows takes, and that every row takes beside.
  static std::int64_t bytes(const Layer& layer, std::int64_t rows) {
    return rows * (2 * layer.stride() + 8 + (layer.on_device ? 0 : layer.row_bytes()));
  }
  static constexpr std::int64_t kBytesPerRow = 12 + sizeof(RowBound);
  static constexpr int kSlots = 3;

  std::int64_t size() const { return static_cast<std::int64_t>(numbers_.size()); }
  int count() const { return static_cast<int>(ceil_div(size(), panel_rows_)); }
  std::int64_t panel_rows() const { return panel_rows_; }
  const RowBound* bound() const { return bound_.data(); }

  struct Panel {
    int first, count;  // rows
    Values values;
    const int* numbers;
    Side side;
  };

  // Panel p, packed. Good for what is queued before the panel after the next but one is queries
  // for.
  Panel get(int p) {
    Slot& slot = slot_of(p);
    if (slot.panel != p) begin(slot, p), coming_ = p;
    if (coming_ == p) uploader_.finish(), coming_ = -1;
    Panel panel = view(slot, p);
    if (!slot.is_packed) {
      with_dtype(layer_.dtype, [&](auto element) {
        launch(stream_, dim3(striding_blocks_for(std::int64_t{32} * panel.count)), dim3(kBlock), 0,
               pack_rows<decltype(element)>, panel.values, std::int64_t{panel.count}, panel.numbers,
               layer_.norms, layer_.centre, layer_.scale,
               Packing{slot.packed.data(), factor_.data() + panel.first, half_.data() + panel.first,
                       bound_.data() + panel.first, layer_.stride()});
      });
      slot.is_packed = true;
    }
    return panel;
  }
  // Begins to bring panel p, if there is something to bring.
  void prefetch(int p) {
    if (layer_.on_device || p < 0 || p >= count() || coming_ >= 0) return;
    Slot& slot = slot_of(p);
    if (slot.panel == p) return;
    begin(slot, p);
    coming_ = p;
  }
  // Packs all panels once: so that all bounds are known.
  void pack() {
    for (int p = 0; p < count(); ++p) get(p);
  }

 private:
  struct Slot {
    Buffer<std::byte> raw;
    Buffer<const std::byte*> pointers;
    Buffer<std::uint16_t> packed;
    int panel = -1;
    bool is_packed = false;
    std::size_t places = 0;  // rows of `raw` that `pointers` point to
    std::int64_t used = 0;
  };

  int rows_in(int p) const {
    return static_cast<int>(std::min(panel_rows_, size() - p * panel_rows_));
  }

  // Where panel p lies, or may come to lie.
  Slot& slot_of(int p) {
    Slot* best = &slots_[0];
    for (Slot& slot : slots_) {
      if (slot.panel == p) {
        best = &slot;
        break;
      }
      if (slot.used < best->used) best = &slot;
    }
    best->used = ++clock_;
    return *best;
  }

  void begin(Slot& slot, int p) {
    const std::size_t n = rows_in(p), most = static_cast<std::size_t>(panel_rows_);
    std::vector<const std::byte*> rows(n);
    for (std::size_t r = 0; r < n; ++r) rows[r] = layer_.rows[numbers_[p * panel_rows_ + r]];
    slot.panel = -1;  // until it is there, should anything throw
    slot.is_packed = false;
    slot.packed.reserve(most * layer_.stride());
    if (layer_.on_device) {
      staging_.send(slot.pointers, rows);
      slot.places = 0;
    } else {
      if (slot.places < most) {
        slot.raw.reserve(most * layer_.row_bytes());
        std::vector<const std::byte*> places(most);
        for (std::size_t r = 0; r < most; ++r) places[r] = slot.raw.data() + r * layer_.row_bytes();
        staging_.send(slot.pointers, places);
        slot.places = most;
      }
      uploader_.begin(std::move(rows), layer_.d, layer_.col_stride, size_of(layer_.dtype),
                      slot.raw.data());
    }
    slot.panel = p;
  }

  Panel view(const Slot& slot, int p) const {
    Panel out;
    out.first = static_cast<int>(p * panel_rows_);
    out.count = rows_in(p);
    out.values = {slot.pointers.data(), layer_.device_col_stride(), layer_.d};
    out.numbers = device_numbers_.data() + out.first;
    out.side = {slot.packed.data(),
                factor_.data() + out.first,
                half_.data() + out.first,
                layer_.stride(),
                out.first,
                out.count};
    return out;
  }

  const Layer& layer_;
  Uploader& uploader_;
  StagingBuffer& staging_;
  cudaStream_t stream_;
  std::vector<int> numbers_;
  std::int64_t panel_rows_ = 1;
  std::vector<Slot> slots_;
  std::int64_t clock_ = 0;
  int coming_ = -1;
  Buffer<int> device_numbers_;
  Buffer<float> factor_, half_;
  Buffer<RowBound> bound_;
};

}  // namespace ilo::gpu
