// Runs the blocks of a launch: their threads as fibers, barriers, warps, shared memory.
#include <algorithm>
#include <cstring>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "testing/cuda_emulator/fibers.h"
#include "testing/cuda_emulator/kernel.h"
#include "testing/cuda_emulator/state.h"

namespace ilo::emulated {

__thread uint3 threadIdx, blockIdx, blockDim, gridDim;

namespace {

constexpr unsigned kWarp = 32;
constexpr std::size_t kSharedDefault = 48 * 1024, kSharedLimit = 163 * 1024;  // of sm_80
constexpr std::size_t kSharedGuard = 128;

// Bytes of dynamic shared memory that a kernel has asked for.
std::mutex limits_mutex;
std::map<const void*, std::size_t> shared_limits;

struct AsyncCopy {
  void* shared;
  const void* global;  // null: zeros
};

void run_threads();

struct Fiber {
  Context context{run_threads};
  unsigned thread = 0;                 // of the block
  std::vector<AsyncCopy> copies;       // under way
  std::vector<std::size_t> committed;  // how many of them each group that is under way ends at
};

struct Meeting {
  unsigned mask = 0, came = 0;
  Place place{};
};
struct Warp {
  Meeting meetings[kWarp];  // by the lowest lane
  Fiber* fibers[kWarp] = {};
  void* items[kWarp] = {};
};

struct Block {
  void (*thread)(const void*) = nullptr;
  const void* arguments = nullptr;
  dim3 size;
  unsigned threads = 0, begun = 0, ended = 0;
  bool descending = false;
  std::exception_ptr problem;

  Context main;
  Fiber* current = nullptr;
  std::vector<std::unique_ptr<Fiber>> fibers;
  std::vector<Fiber*> idle;  // without a thread
  std::deque<Fiber*> ready;  // may go on
  std::vector<Fiber*> at_barrier;
  Place barrier{};
  std::vector<Warp> warps;
  std::vector<std::byte> shared;
  std::byte* shared_start = nullptr;
};
Block& block() {
  thread_local Block only;
  return only;
}

void set_thread(const Block& b, unsigned thread) {
  threadIdx = {thread % b.size.x, thread / b.size.x % b.size.y, thread / b.size.x / b.size.y};
}

Fiber* idle_fiber(Block& b) {
  if (b.idle.empty()) {
    b.fibers.push_back(std::make_unique<Fiber>());
    return b.fibers.back().get();
  }
  Fiber* fiber = b.idle.back();
  b.idle.pop_back();
  return fiber;
}

// From the current fiber to one that can go on, to one for the next thread, or to the end.
void leave(Block& b) {
  Fiber* from = b.current;
  if (b.problem) {
    b.main.enter(from->context);
  } else if (!b.ready.empty()) {
    Fiber* next = b.ready.front();
    b.ready.pop_front();
    b.current = next;
    next->context.enter(from->context);
  } else if (b.begun < b.threads) {
    b.current = idle_fiber(b);
    b.current->context.enter(from->context);
  } else {
    b.main.enter(from->context);
  }
}

// The current thread waits, until somebody has put its fiber among the ready.
void wait(Block& b) {
  leave(b);
  set_thread(b, b.current->thread);
}

// What a fiber does: threads one after the other, until one waits.
void run_threads() {
  Context::entered();
  Block& b = block();
  for (;;) {
    Fiber* self = b.current;
    try {
      while (b.ready.empty() && b.begun < b.threads) {
        const unsigned begun = b.begun++;
        self->thread = b.descending ? b.threads - 1 - begun : begun;
        set_thread(b, self->thread);
        b.thread(b.arguments);
        self->copies.clear();
        self->committed.clear();
        ++b.ended;
        if (self->context.overflown()) throw std::logic_error("a thread's stack overflowed");
      }
    } catch (...) {
      b.problem = std::current_exception();
    }
    b.idle.push_back(self);
    leave(b);
  }
}

std::string name(const Place& place) {
  return std::string(place.what) + " (" + place.file + ":" + std::to_string(place.line) + ")";
}
bool same(const Place& a, const Place& b) {
  return a.line == b.line && std::strcmp(a.what, b.what) == 0 && std::strcmp(a.file, b.file) == 0;
}

[[noreturn]] void deadlock(const Block& b) {
  std::string message = "deadlock: of " + std::to_string(b.threads) + " threads, " +
                        std::to_string(b.ended) + " have ended";
  if (!b.at_barrier.empty())
    message += ", " + std::to_string(b.at_barrier.size()) + " wait at " + name(b.barrier);
  for (const Warp& warp : b.warps)
    for (const Meeting& m : warp.meetings)
      if (m.came)
        message += ", " + std::to_string(__popc(m.came)) + " of a warp wait at " + name(m.place);
  throw std::logic_error(message);
}

void run_block(Block& b) {
  b.begun = b.ended = 0;
  b.problem = nullptr;
  b.at_barrier.clear();
  b.ready.clear();
  b.warps.assign((b.threads + kWarp - 1) / kWarp, Warp{});
  b.current = idle_fiber(b);
  b.current->context.enter(b.main);
  if (b.problem || b.ended < b.threads) {
    // Threads that never end are left where they stand, and their stacks go.
    b.idle.clear();
    const std::exception_ptr problem = std::exchange(b.problem, nullptr);
    const auto stuck = std::move(b.fibers);
    b.fibers.clear();
    if (problem) std::rethrow_exception(problem);
    deadlock(b);
  }
}

}  // namespace

cudaError_t set_shared_limit(const void* kernel, int bytes) {
  if (bytes < 0 || static_cast<std::size_t>(bytes) > kSharedLimit)
    return failed(cudaErrorInvalidValue);
  std::lock_guard lock(limits_mutex);
  shared_limits[kernel] = static_cast<std::size_t>(bytes);
  return cudaSuccess;
}

cudaError_t launch_error(const void* kernel, const cudaLaunchConfig_t& config) {
  const dim3 grid = config.gridDim, block = config.blockDim;
  const std::uint64_t threads = std::uint64_t{block.x} * block.y * block.z;
  if (threads == 0 || threads > 1024 || block.z > 64 || grid.x > 0x7fffffffu || grid.y > 65535 ||
      grid.z > 65535)
    return failed(cudaErrorInvalidConfiguration);
  std::lock_guard lock(limits_mutex);
  const auto limit = shared_limits.find(kernel);
  const std::size_t allowed = limit == shared_limits.end() ? kSharedDefault : limit->second;
  return config.dynamicSmemBytes > allowed ? failed(cudaErrorInvalidValue) : cudaSuccess;
}

void run_grid(dim3 grid, dim3 size, std::size_t shared_bytes, void (*thread)(const void*),
              const void* arguments) {
  Block& b = block();
  b.thread = thread;
  b.arguments = arguments;
  b.size = size;
  b.threads = size.x * size.y * size.z;
  b.descending = next_launch_descends();
  b.shared.resize(shared_bytes + 2 * kSharedGuard);
  b.shared_start = reinterpret_cast<std::byte*>(
      (reinterpret_cast<std::uintptr_t>(b.shared.data()) + kSharedGuard - 1) & -kSharedGuard);
  gridDim = grid;
  blockDim = size;
  const std::uint64_t blocks = std::uint64_t{grid.x} * grid.y * grid.z;
  for (std::uint64_t i = 0; i < blocks; ++i) {
    const std::uint64_t at = b.descending ? blocks - 1 - i : i;
    blockIdx = {static_cast<unsigned>(at % grid.x), static_cast<unsigned>(at / grid.x % grid.y),
                static_cast<unsigned>(at / grid.x / grid.y)};
    std::memset(b.shared_start, 0xff, shared_bytes + kSharedGuard);
    run_block(b);
    for (std::size_t g = 0; g < kSharedGuard; ++g)
      if (b.shared_start[shared_bytes + g] != std::byte{0xff})
        throw std::logic_error("a kernel wrote beyond its " + std::to_string(shared_bytes) +
                               " bytes of shared memory");
  }
}

void* dynamic_shared_memory() { return block().shared_start; }

unsigned lane_of_warp() { return block().current->thread % kWarp; }

void barrier(const Place& place) {
  Block& b = block();
  if (b.at_barrier.empty())
    b.barrier = place;
  else if (!same(b.barrier, place))
    throw std::logic_error("divergent threads: some wait at " + name(b.barrier) + ", some at " +
                           name(place));
  b.at_barrier.push_back(b.current);
  if (b.at_barrier.size() == b.threads) {
    b.at_barrier.pop_back();
    b.ready.insert(b.ready.end(), b.at_barrier.begin(), b.at_barrier.end());
    b.at_barrier.clear();
  } else {
    wait(b);
  }
}

void meet(unsigned mask, const Place& place, void* item, void (*together)(void* const* items)) {
  Block& b = block();
  const unsigned thread = b.current->thread, lane = thread % kWarp;
  Warp& warp = b.warps[thread / kWarp];
  if (!(mask >> lane & 1u))
    throw std::logic_error("a thread is not in its own mask at " + name(place));
  Meeting& m = warp.meetings[__builtin_ctz(mask)];
  if (m.came == 0) {
    m.mask = mask;
    m.place = place;
  } else if (m.mask != mask || !same(m.place, place)) {
    throw std::logic_error("divergent threads of a warp: some wait at " + name(m.place) +
                           ", some at " + name(place));
  }
  m.came |= 1u << lane;
  warp.fibers[lane] = b.current;
  warp.items[lane] = item;
  if (m.came != mask) return wait(b);
  m.came = 0;
  void* items[kWarp];
  for (unsigned l = 0; l < kWarp; ++l) items[l] = mask >> l & 1u ? warp.items[l] : nullptr;
  together(items);
  for (unsigned l = 0; l < kWarp; ++l)
    if (l != lane && mask >> l & 1u) b.ready.push_back(warp.fibers[l]);
}

void copy_async(void* shared, const void* global) {
  std::memset(shared, 0xff, 16);
  block().current->copies.push_back({shared, global});
}
void copy_async_commit() {
  Fiber& fiber = *block().current;
  fiber.committed.push_back(fiber.copies.size());
}
void copy_async_wait(int groups) {
  Fiber& fiber = *block().current;
  const std::size_t left = static_cast<std::size_t>(groups);
  if (fiber.committed.size() <= left) return;
  const std::size_t done = fiber.committed.size() - left, n = fiber.committed[done - 1];
  for (std::size_t i = 0; i < n; ++i) {
    const AsyncCopy& copy = fiber.copies[i];
    std::memcpy(copy.shared, copy.global, 16);
  }
  fiber.copies.erase(fiber.copies.begin(), fiber.copies.begin() + static_cast<std::ptrdiff_t>(n));
  fiber.committed.erase(fiber.committed.begin(),
                        fiber.committed.begin() + static_cast<std::ptrdiff_t>(done));
  for (std::size_t& end : fiber.committed) end -= n;
}

}  // namespace ilo::emulated
