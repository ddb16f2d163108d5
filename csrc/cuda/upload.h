// Rows from the host's memory to the device, in chunks, on a stream of its own: so that it can go
// on while kernels work. Pinned rows are copied as they lie, others through two pinned buffers,
// which the host's threads fill.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "core/parallel.h"
#include "cuda/runtime.h"

namespace ilo::gpu {

class Uploader {
 public:
  Uploader(cudaStream_t compute, Team& team) : compute_(compute), team_(team) {}
  ~Uploader() { (void)cudaStreamSynchronize(copies_); }  // before the buffers go
  Uploader(const Uploader&) = delete;
  Uploader& operator=(const Uploader&) = delete;

  // Begins to copy `rows`, d values of `size` bytes each, one after another to `to`; not before the
  // kernels that are queued by now are through with what lies there.
  void begin(std::vector<const std::byte*> rows, std::int64_t d, std::ptrdiff_t col_stride,
             std::size_t size, std::byte* to) {
    finish();
    rows_ = std::move(rows);
    to_ = to;
    d_ = d;
    col_stride_ = col_stride;
    size_ = size;
    row_bytes_ = static_cast<std::size_t>(d) * size;
    next_ = 0;
    is_busy_ = true;
    const bool is_dense = col_stride == static_cast<std::ptrdiff_t>(size);
    std::size_t runs = 1;
    for (std::size_t r = 1; r < rows_.size(); ++r) runs += rows_[r] != rows_[r - 1] + row_bytes_;
    // Many short copies would take longer than gathering the rows first.
    direct_ = is_dense && rows_.size() / runs * row_bytes_ >= kLongRun &&
              is_pinned(rows_.front()) && is_pinned(rows_.back());
    released_.record(compute_);
    copies_.wait(released_);
    while (direct_ && step()) {  // that takes no time of the host's
    }
  }
  std::int64_t remaining_rows() const { return static_cast<std::int64_t>(rows_.size() - next_); }

  // Copies a little more; false when nothing is left to do.
  bool step() {
    if (!is_busy_) return false;
    if (next_ < rows_.size()) direct_ ? copy_run() : copy_staged();
    if (next_ < rows_.size()) return true;
    arrived_.record(copies_);
    is_busy_ = false;
    return false;
  }
  // What was begun is not wanted any more.
  void abandon() {
    (void)cudaStreamSynchronize(copies_);
    is_busy_ = false;
    rows_.clear();
    next_ = 0;
  }
  // Kernels queued from now on find the rows there.
  void finish() {
    if (!is_busy_ && rows_.empty()) return;
    while (step()) {
    }
    check(cudaStreamWaitEvent(compute_, arrived_, 0), "waiting for rows");
    rows_.clear();
    next_ = 0;
  }

 private:
  static constexpr std::size_t kChunkBytes = std::size_t{16} << 20;
  static constexpr std::size_t kTaskBytes = std::size_t{1} << 20;  // of a thread
  static constexpr std::size_t kLongRun = std::size_t{64} << 10;

  static bool is_pinned(const void* p) {
    cudaPointerAttributes attributes;
    if (cudaPointerGetAttributes(&attributes, p) != cudaSuccess) {
      (void)cudaGetLastError();
      return false;
    }
    return attributes.type == cudaMemoryTypeHost;
  }

  std::byte* place(std::size_t row) const { return to_ + row * row_bytes_; }

  // Rows that lie one after another.
  void copy_run() {
    const std::size_t first = next_++;
    while (next_ < rows_.size() && rows_[next_] == rows_[next_ - 1] + row_bytes_ &&
           (next_ - first) * row_bytes_ < 8 * kChunkBytes)
      ++next_;
    check(cudaMemcpyAsync(place(first), rows_[first], (next_ - first) * row_bytes_,
                          cudaMemcpyHostToDevice, copies_),
          "copying rows to the device");
  }

  void copy_staged() {
    Stage& stage = stages_[turn_ ^= 1];
    const std::size_t per_chunk = std::max<std::size_t>(1, kChunkBytes / row_bytes_);
    const std::size_t count = std::min(per_chunk, rows_.size() - next_);
    if (stage.used) stage.left.synchronize();
    std::byte* out = stage.bytes.reserve(per_chunk * row_bytes_);
    const std::size_t per_task = std::max<std::size_t>(1, kTaskBytes / row_bytes_);
    const auto gather_task = [&](std::int64_t task, int) {
      const std::size_t begin = task * per_task;
      gather(next_ + begin, std::min(per_task, count - begin), out + begin * row_bytes_);
    };
    const auto tasks = static_cast<std::int64_t>((count + per_task - 1) / per_task);
    if (tasks == 1 || team_.size() == 1)
      for (std::int64_t task = 0; task < tasks; ++task) gather_task(task, 0);
    else
      team_.run(tasks, gather_task);
    check(cudaMemcpyAsync(place(next_), stage.bytes.data(), count * row_bytes_,
                          cudaMemcpyHostToDevice, copies_),
          "copying rows to the device");
    stage.left.record(copies_);
    stage.used = true;
    next_ += count;
  }

  // Rows first, first + 1, ..., one after another to `out`.
  void gather(std::size_t first, std::size_t count, std::byte* out) const {
    for (std::size_t r = first; r < first + count; ++r, out += row_bytes_) {
      if (col_stride_ == static_cast<std::ptrdiff_t>(size_)) {
        std::memcpy(out, rows_[r], row_bytes_);
      } else {
        for (std::int64_t k = 0; k < d_; ++k)
          std::memcpy(out + k * size_, rows_[r] + k * col_stride_, size_);
      }
    }
  }

  struct Stage {
    PinnedBuffer<std::byte> bytes;
    Event left;
    bool used = false;
  };

  cudaStream_t compute_;
  Team& team_;
  Stage stages_[2];
  Stream copies_;
  Event released_, arrived_;
  int turn_ = 0;
  bool is_busy_ = false, direct_ = false;
  std::vector<const std::byte*> rows_;
  std::byte* to_ = nullptr;
  std::int64_t d_ = 0;
  std::ptrdiff_t col_stride_ = 0;
  std::size_t size_ = 0, row_bytes_ = 0, next_ = 0;
};

}  // namespace ilo::gpu
