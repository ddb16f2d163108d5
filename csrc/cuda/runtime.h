// Memory, streams and events of a device, as objects that clean up after themselves. None of them
// can be copied; failures are thrown (OutOfMemory, std::runtime_error).
#pragma once

#include <cstddef>
#include <utility>

#include "cuda/platform.h"

namespace ilo::gpu {

// Memory that grows when queries to, and forgets what was in it then.
template <class T, bool kPinned>
class Memory {
 public:
  Memory() = default;
  explicit Memory(std::size_t count) { reserve(count); }
  Memory(Memory&& other) noexcept { swap(other); }
  Memory& operator=(Memory&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Memory() { release(); }

  T* reserve(std::size_t count) {
    if (count <= count_) return data_;
    release();
    void* memory = nullptr;
    const std::size_t bytes = count * sizeof(T);
    const cudaError_t error = kPinned ? cudaMallocHost(&memory, bytes) : cudaMalloc(&memory, bytes);
    check(error, kPinned ? "allocating pinned memory" : "allocating memory of the device");
    data_ = static_cast<T*>(memory);
    count_ = count;
    return data_;
  }
  void release() {
    if (data_) (void)(kPinned ? cudaFreeHost(data_) : cudaFree(data_));
    data_ = nullptr;
    count_ = 0;
  }
  T* data() const { return data_; }
  std::size_t size() const { return count_; }
  std::size_t bytes() const { return count_ * sizeof(T); }
  T& operator[](std::size_t i) const {
    static_assert(kPinned, "the host cannot look into the device's memory");
    return data_[i];
  }
  void swap(Memory& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
  }

 private:
  T* data_ = nullptr;
  std::size_t count_ = 0;
};

template <class T>
using Buffer = Memory<T, false>;  // of the device
template <class T>
using PinnedBuffer = Memory<T, true>;  // of the host, for copies that do not wait

class Event;

class Stream {
 public:
  Stream() {
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "creating a stream");
  }
  Stream(Stream&& other) noexcept : stream_(std::exchange(other.stream_, nullptr)) {}
  Stream& operator=(Stream&& other) noexcept {
    std::swap(stream_, other.stream_);
    return *this;
  }
  ~Stream() {
    if (stream_) (void)cudaStreamDestroy(stream_);
  }
  operator cudaStream_t() const { return stream_; }
  void synchronize() const { check(cudaStreamSynchronize(stream_), "work on the device"); }
  inline void wait(const Event& event) const;  // work from now on waits for it

 private:
  cudaStream_t stream_ = nullptr;
};

class Event {
 public:
  Event() { check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "creating an event"); }
  Event(Event&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
  Event& operator=(Event&& other) noexcept {
    std::swap(event_, other.event_);
    return *this;
  }
  ~Event() {
    if (event_) (void)cudaEventDestroy(event_);
  }
  operator cudaEvent_t() const { return event_; }
  void record(cudaStream_t stream) const {
    check(cudaEventRecord(event_, stream), "recording an event");
  }
  void synchronize() const { check(cudaEventSynchronize(event_), "work on the device"); }
  bool ready() const {
    const cudaError_t error = cudaEventQuery(event_);
    if (error == cudaErrorNotReady) {
      (void)cudaGetLastError();
      return false;
    }
    check(error, "work on the device");
    return true;
  }

 private:
  cudaEvent_t event_ = nullptr;
};

inline void Stream::wait(const Event& event) const {
  check(cudaStreamWaitEvent(stream_, event, 0), "waiting for an event");
}

// The device of this thread of the host, for as long as this lives.
class DeviceGuard {
 public:
  explicit DeviceGuard(int device) {
    check(cudaGetDevice(&before_), "queries for the device");
    is_other_ = before_ != device;  // cudaSetDevice makes a context where there is none
    if (is_other_) check(cudaSetDevice(device), "choosing the device");
  }
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;
  ~DeviceGuard() {
    if (is_other_) (void)cudaSetDevice(before_);
  }

 private:
  int before_ = 0;
  bool is_other_ = false;
};

}  // namespace ilo::gpu
