// Small arrays from the host to the device without waiting for it: by way of pinned memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <vector>

#include "cuda/runtime.h"

namespace ilo::gpu {

class StagingBuffer {
 public:
  explicit StagingBuffer(cudaStream_t stream) : stream_(stream) {}
  ~StagingBuffer() { (void)cudaStreamSynchronize(stream_); }  // before what is still read goes
  StagingBuffer(const StagingBuffer&) = delete;
  StagingBuffer& operator=(const StagingBuffer&) = delete;

  // Stages `from` in pinned memory and queues the copy to `to`. The caller may free `from` on
  // return.
  template <class T>
  void send(Buffer<T>& to, const std::vector<T>& from) {
    to.reserve(std::max<std::size_t>(1, from.size()));
    const std::size_t bytes = from.size() * sizeof(T);
    if (bytes == 0) return;
    if (used_ + bytes > memory_.size()) {  // from the beginning, once all of it has been read
      check(cudaStreamSynchronize(stream_), "copying to the device");
      memory_.reserve(std::max(2 * bytes, kBytes));
      used_ = 0;
    }
    std::byte* staged = memory_.data() + used_;
    std::memcpy(staged, from.data(), bytes);
    used_ += (bytes + 255) / 256 * 256;
    check(cudaMemcpyAsync(to.data(), staged, bytes, cudaMemcpyHostToDevice, stream_),
          "copying to the device");
  }

 private:
  static constexpr std::size_t kBytes = std::size_t{4} << 20;
  cudaStream_t stream_;
  PinnedBuffer<std::byte> memory_;
  std::size_t used_ = 0;
};

}  // namespace ilo::gpu
