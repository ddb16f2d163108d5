// What the emulated device holds: allocations, streams with their queued work, and switches for
// tests. Shared by the emulator's own sources; nothing else includes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "testing/cuda_emulator/kernel.h"

namespace ilo::emulated {

struct Occasion {             // an event; work in streams may outlive its handle
  std::int64_t recorded = 0;  // how often; the last of them is what one waits for
  std::int64_t happened = 0;
};
struct EventState {
  std::shared_ptr<Occasion> occasion = std::make_shared<Occasion>();
};

struct Step {
  enum Kind { work, record, wait } kind;
  std::function<void()> run;
  std::shared_ptr<Occasion> occasion;
  std::int64_t number;  // of the occasion

  bool can_run() const { return kind != wait || occasion->happened >= number; }
};

struct StreamState {
  std::deque<Step> steps;
  std::thread::id owner = std::this_thread::get_id();
  bool destroyed = false;
};

struct Allocation {
  std::size_t bytes;
  bool pinned;
};

constexpr std::size_t kDefaultLimit = std::size_t{2} << 30;

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

Device& device();
using Lock = std::lock_guard<std::recursive_mutex>;

cudaError_t failed(cudaError_t error);  // notes it for cudaGetLastError

// An error found where nothing may be thrown (cudaFree): this thread's next wait throws it.
extern thread_local std::exception_ptr pending;
void throw_pending();

// The allocation that holds all of [memory, memory + bytes), or null.
const Allocation* find(const void* memory, std::size_t bytes);
void check_guards(std::uintptr_t at, const Allocation& a, const char* after);
void check_all_guards(const char* after);

StreamState& stream_of(cudaStream_t stream);
void finish(StreamState& stream);
void finish_everything();  // of this thread

bool next_launch_descends();  // counts the launch

}  // namespace ilo::emulated
