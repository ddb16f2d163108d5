#include "cuda/on_cpu/runtime.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cuda/on_cpu/controls.h"
#include "cuda/on_cpu/kernel.h"

namespace ilo::emulated {

struct Occasion {             // an event; work in streams may outlive its handle
  std::int64_t recorded = 0;  // how often; the last of them is what one waits for
  std::int64_t happened = 0;
};
struct EventState {
  std::shared_ptr<Occasion> occasion = std::make_shared<Occasion>();
};

namespace {

struct Step {
  enum Kind { work, record, wait } kind;
  std::function<void()> run;
  std::shared_ptr<Occasion> occasion;
  std::int64_t number;  // of the occasion

  bool can_run() const { return kind != wait || occasion->happened >= number; }
};

}  // namespace

struct StreamState {
  std::deque<Step> steps;
  std::thread::id owner = std::this_thread::get_id();
  bool destroyed = false;
};

namespace {

constexpr std::size_t kGuard = 256, kDefaultLimit = std::size_t{2} << 30;
constexpr unsigned char kGuardByte = 0xa5, kPoison = 0xff;

struct Allocation {
  std::size_t bytes;
  bool pinned;
};

struct Device {
  std::recursive_mutex mutex;  // one thread of the host at a time does the device's work
  std::vector<std::shared_ptr<StreamState>> streams;
  std::map<std::uintptr_t, Allocation> allocations;
  std::size_t limit = kDefaultLimit, live = 0, peak = 0;
  int fail_in = 0;
  std::uint64_t seed = 0;
  std::mt19937_64 random;
  std::int64_t launches = 0;
};

Device& device() {
  static Device& only = *new Device;  // outlives whatever is cleaned up when the process ends
  return only;
}
using Lock = std::lock_guard<std::recursive_mutex>;

thread_local cudaError_t last_error = cudaSuccess;
thread_local std::exception_ptr pending;

cudaError_t failed(cudaError_t error) {
  last_error = error;
  return error;
}

// The null stream of a thread of the host.
struct OwnStream {
  std::shared_ptr<StreamState> state = std::make_shared<StreamState>();
  OwnStream() {
    Lock lock(device().mutex);
    device().streams.push_back(state);
  }
  ~OwnStream() {
    Lock lock(device().mutex);
    auto& all = device().streams;
    all.erase(std::remove(all.begin(), all.end(), state), all.end());
  }
};
StreamState& stream_of(cudaStream_t stream) {
  thread_local OwnStream own;
  return stream ? *stream : *own.state;
}

// ---- memory

std::byte* address(std::uintptr_t at) { return reinterpret_cast<std::byte*>(at); }

// The allocation that all of [memory, memory + bytes) lies in, or null.
const Allocation* find(const void* memory, std::size_t bytes) {
  auto& all = device().allocations;
  const auto at = reinterpret_cast<std::uintptr_t>(memory);
  auto it = all.upper_bound(at);
  if (it == all.begin()) return nullptr;
  --it;
  return at - it->first + bytes <= it->second.bytes ? &it->second : nullptr;
}

void check_guards(std::uintptr_t at, const Allocation& a, const char* after) {
  const std::byte* guards[] = {address(at) - kGuard, address(at) + a.bytes};
  for (int side = 0; side < 2; ++side)
    for (std::size_t i = 0; i < kGuard; ++i)
      if (guards[side][i] != std::byte{kGuardByte})
        throw std::logic_error(std::string("written ") +
                               (side ? "beyond the end" : "before the beginning") + " of " +
                               std::to_string(a.bytes) + " bytes of " +
                               (a.pinned ? "pinned" : "device") + " memory, seen after " + after);
}
void check_guards(const char* after) {
  for (const auto& [at, a] : device().allocations) check_guards(at, a, after);
}

cudaError_t allocate(void** memory, std::size_t bytes, bool pinned) {
  Device& d = device();
  Lock lock(d.mutex);
  *memory = nullptr;
  if (bytes == 0) return cudaSuccess;
  if (d.fail_in > 0 && --d.fail_in == 0) return failed(cudaErrorMemoryAllocation);
  if (!pinned && (bytes > d.limit || d.live > d.limit - bytes))
    return failed(cudaErrorMemoryAllocation);
  void* got = ::operator new(bytes + 2 * kGuard, std::align_val_t{kGuard}, std::nothrow);
  if (!got) return failed(cudaErrorMemoryAllocation);
  auto* start = static_cast<std::byte*>(got) + kGuard;
  std::memset(start - kGuard, kGuardByte, kGuard);
  std::memset(start, kPoison, bytes);
  std::memset(start + bytes, kGuardByte, kGuard);
  d.allocations[reinterpret_cast<std::uintptr_t>(start)] = Allocation{bytes, pinned};
  if (!pinned) {
    d.live += bytes;
    d.peak = std::max(d.peak, d.live);
  }
  *memory = start;
  return cudaSuccess;
}

// ---- streams

// What a thread noted and cannot be done any more, after an error.
void forget(std::thread::id owner) {
  for (const auto& stream : device().streams)
    if (stream->owner == owner) {
      for (const Step& step : stream->steps)
        if (step.kind == Step::record)
          step.occasion->happened = std::max(step.occasion->happened, step.number);
      stream->steps.clear();
    }
}

void run_first(StreamState& stream) {
  Step step = std::move(stream.steps.front());
  stream.steps.pop_front();
  switch (step.kind) {
    case Step::wait:
      break;
    case Step::record:
      step.occasion->happened = std::max(step.occasion->happened, step.number);
      break;
    case Step::work:
      try {
        step.run();
        check_guards("work on a stream");
      } catch (...) {
        forget(std::this_thread::get_id());
        throw;
      }
  }
}

// The stream that an occasion is noted in, or null.
StreamState* where(const Occasion* occasion, std::int64_t number) {
  for (const auto& stream : device().streams)
    for (const Step& step : stream->steps)
      if (step.kind == Step::record && step.occasion.get() == occasion && step.number >= number)
        return stream.get();
  return nullptr;
}

// Does the first step of this stream, or one that it waits for, or, with a seed, any other.
void advance(StreamState* wanted) {
  while (!wanted->steps.front().can_run()) {
    const Step& step = wanted->steps.front();
    StreamState* before = where(step.occasion.get(), step.number);
    if (!before) throw std::logic_error("a stream waits for an event that nobody records");
    wanted = before;
  }
  Device& d = device();
  if (d.seed) {
    std::vector<StreamState*> choices{wanted};
    for (const auto& stream : d.streams)
      if (stream.get() != wanted && stream->owner == std::this_thread::get_id() &&
          !stream->steps.empty() && stream->steps.front().can_run())
        choices.push_back(stream.get());
    wanted = choices[d.random() % choices.size()];
  }
  run_first(*wanted);
}

void drop_destroyed() {
  auto& all = device().streams;
  all.erase(std::remove_if(all.begin(), all.end(),
                           [](const auto& s) { return s->destroyed && s->steps.empty(); }),
            all.end());
}

void throw_pending() {
  if (pending) std::rethrow_exception(std::exchange(pending, nullptr));
}

void finish(StreamState& stream) {
  throw_pending();
  while (!stream.steps.empty()) advance(&stream);
}

void finish_everything() {
  throw_pending();
  const auto self = std::this_thread::get_id();
  for (bool again = true; again;) {
    again = false;
    for (std::size_t i = 0; i < device().streams.size(); ++i) {
      const auto stream = device().streams[i];
      if (stream->owner != self || stream->steps.empty()) continue;
      advance(stream.get());
      again = true;
    }
  }
  drop_destroyed();
}

cudaError_t release(void* memory, bool pinned) {
  if (!memory) return cudaSuccess;
  Device& d = device();
  Lock lock(d.mutex);
  const auto it = d.allocations.find(reinterpret_cast<std::uintptr_t>(memory));
  if (it == d.allocations.end() || it->second.pinned != pinned)
    return failed(cudaErrorInvalidValue);
  try {
    const std::exception_ptr before = std::exchange(pending, nullptr);
    finish_everything();
    pending = before;
    check_guards(it->first, it->second, "its release was asked for");
  } catch (...) {
    pending = std::current_exception();
  }
  if (!pinned) d.live -= it->second.bytes;
  d.allocations.erase(it);
  ::operator delete(static_cast<std::byte*>(memory) - kGuard, std::align_val_t{kGuard});
  return cudaSuccess;
}

// ---- copies

struct Rows {  // of bytes
  std::byte* at;
  std::size_t pitch;
};

void copy_rows(Rows to, const std::byte* from, std::size_t from_pitch, std::size_t width,
               std::size_t height) {
  for (std::size_t r = 0; r < height; ++r)
    std::memmove(to.at + r * to.pitch, from + r * from_pitch, width);
}

cudaError_t copy(Rows to, const std::byte* from, std::size_t from_pitch, std::size_t width,
                 std::size_t height, cudaMemcpyKind kind, cudaStream_t stream) {
  Lock lock(device().mutex);
  if (width == 0 || height == 0) return cudaSuccess;
  if (to.pitch < width || from_pitch < width) return failed(cudaErrorInvalidValue);
  const Allocation* target = find(to.at, (height - 1) * to.pitch + width);
  const Allocation* source = find(from, (height - 1) * from_pitch + width);
  const bool target_on_device = target && !target->pinned;
  const bool source_on_device = source && !source->pinned;
  if (kind == cudaMemcpyDefault)
    kind = static_cast<cudaMemcpyKind>((target_on_device ? 1 : 0) + (source_on_device ? 2 : 0));
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  // Arrays of a caller that stand for device memory are not allocated here: they may be read.
  if (to_device != target_on_device || (source && from_device != source_on_device))
    return failed(cudaErrorInvalidValue);

  if (!from_device && !source) {
    auto kept = std::make_shared<std::vector<std::byte>>(width * height);
    copy_rows({kept->data(), width}, from, from_pitch, width, height);
    enqueue(stream, [=] { copy_rows(to, kept->data(), width, width, height); });
  } else {
    enqueue(stream, [=] { copy_rows(to, from, from_pitch, width, height); });
  }
  if (!to_device && !target) finish(stream_of(stream));
  return cudaSuccess;
}

}  // namespace

void enqueue(cudaStream_t stream, std::function<void()> work) {
  Lock lock(device().mutex);
  stream_of(stream).steps.push_back(Step{Step::work, std::move(work), nullptr, 0});
}

cudaError_t cudaMalloc(void** memory, std::size_t bytes) { return allocate(memory, bytes, false); }
cudaError_t cudaMallocHost(void** memory, std::size_t bytes) {
  return allocate(memory, bytes, true);
}
cudaError_t cudaFree(void* memory) { return release(memory, false); }
cudaError_t cudaFreeHost(void* memory) { return release(memory, true); }

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  Lock lock(device().mutex);
  *total = device().limit;
  *free = device().limit - std::min(device().live, device().limit);
  return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* memory) {
  Lock lock(device().mutex);
  const Allocation* a = find(memory, 1);
  void* at = const_cast<void*>(memory);
  *attributes = {cudaMemoryTypeUnregistered, 0, nullptr, at};
  if (a) *attributes = {a->pinned ? cudaMemoryTypeHost : cudaMemoryTypeDevice, 0, at, at};
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return copy({static_cast<std::byte*>(to), bytes}, static_cast<const std::byte*>(from), bytes,
              bytes, 1, kind, stream);
}
cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from,
                              std::size_t from_pitch, std::size_t width, std::size_t height,
                              cudaMemcpyKind kind, cudaStream_t stream) {
  return copy({static_cast<std::byte*>(to), to_pitch}, static_cast<const std::byte*>(from),
              from_pitch, width, height, kind, stream);
}
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  Lock lock(device().mutex);
  if (bytes == 0) return cudaSuccess;
  const Allocation* target = find(to, bytes);
  if (!target || target->pinned) return failed(cudaErrorInvalidValue);
  enqueue(stream, [=] { std::memset(to, value, bytes); });
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  Lock lock(device().mutex);
  auto made = std::make_shared<StreamState>();
  device().streams.push_back(made);
  *stream = made.get();
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  Lock lock(device().mutex);
  stream->destroyed = true;
  drop_destroyed();
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  Lock lock(device().mutex);
  finish(stream_of(stream));
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new EventState;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  Lock lock(device().mutex);
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  Lock lock(device().mutex);
  const auto& occasion = event->occasion;
  stream_of(stream).steps.push_back(Step{Step::record, {}, occasion, ++occasion->recorded});
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  Lock lock(device().mutex);
  const auto& occasion = event->occasion;
  if (occasion->recorded > occasion->happened)
    stream_of(stream).steps.push_back(Step{Step::wait, {}, occasion, occasion->recorded});
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  Lock lock(device().mutex);
  throw_pending();
  const std::shared_ptr<Occasion> occasion = event->occasion;
  const std::int64_t number = occasion->recorded;
  while (occasion->happened < number) advance(where(occasion.get(), number));
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  Lock lock(device().mutex);
  throw_pending();
  const Occasion& occasion = *event->occasion;
  if (occasion.happened >= occasion.recorded) return cudaSuccess;
  advance(where(&occasion, occasion.recorded));
  return cudaErrorNotReady;
}

cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    case cudaErrorNotReady:
      return "device not ready";
  }
  return "unknown error";
}
cudaError_t cudaGetDevice(int* ordinal) {
  *ordinal = 0;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int ordinal) {
  return ordinal == 0 ? cudaSuccess : failed(cudaErrorInvalidDevice);
}
// ---- controls

void set_memory_limit(std::size_t bytes) {
  Lock lock(device().mutex);
  device().limit = bytes ? bytes : kDefaultLimit;
}
void fail_allocation(int nth) {
  Lock lock(device().mutex);
  device().fail_in = nth;
}
bool failure_pending() {
  Lock lock(device().mutex);
  return device().fail_in > 0;
}
void set_order(std::uint64_t seed) {
  Lock lock(device().mutex);
  device().seed = seed;
  device().random.seed(seed);
}
std::size_t live_bytes() {
  Lock lock(device().mutex);
  return device().live;
}
std::size_t peak_bytes() {
  Lock lock(device().mutex);
  return device().peak;
}
void reset_peak() {
  Lock lock(device().mutex);
  device().peak = device().live;
}
std::int64_t launches() {
  Lock lock(device().mutex);
  return device().launches;
}
bool problem_pending() { return pending != nullptr; }

bool next_launch_descends() {
  Device& d = device();
  ++d.launches;
  return d.seed && d.random() % 2;
}

}  // namespace ilo::emulated
