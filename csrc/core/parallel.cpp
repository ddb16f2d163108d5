// Threads of one call: tasks are handed out, the caller waits and looks for an interrupt.
#include "core/parallel.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace ilo {

#if defined(__x86_64__)
std::uint64_t StandardFloatingPoint::use() {
  const std::uint64_t before = _mm_getcsr();
  _mm_setcsr(0x1f80);
  return before;
}
void StandardFloatingPoint::restore(std::uint64_t mode) { _mm_setcsr(static_cast<unsigned>(mode)); }
bool StandardFloatingPoint::may_be(std::uint64_t mode) { return mode < 1 << 16; }
#elif defined(__aarch64__)
std::uint64_t StandardFloatingPoint::use() {
  std::uint64_t before;
  asm volatile("mrs %0, fpcr" : "=r"(before));
  asm volatile("msr fpcr, %0" : : "r"(std::uint64_t{0}));
  return before;
}
void StandardFloatingPoint::restore(std::uint64_t mode) {
  asm volatile("msr fpcr, %0" : : "r"(mode));
}
bool StandardFloatingPoint::may_be(std::uint64_t mode) { return mode < std::uint64_t{1} << 32; }
#else
std::uint64_t StandardFloatingPoint::use() { return 0; }
void StandardFloatingPoint::restore(std::uint64_t) {}
bool StandardFloatingPoint::may_be(std::uint64_t mode) { return mode == 0; }
#endif

void Team::advance(double units) {
  double seen = done_.load(std::memory_order_relaxed);
  while (!done_.compare_exchange_weak(seen, seen + units, std::memory_order_relaxed)) {
  }
}

void Team::poll() {
  const auto now = std::chrono::steady_clock::now();
  if (!monitor_ || now - polled_ < interval_) return;
  polled_ = now;
  monitor_->poll(std::min(1.0, done_.load() / total_));
}

void Team::run(std::int64_t n_tasks, const std::function<void(std::int64_t, int)>& task) {
  if (n_tasks <= 0) return;
  poll();  // runs may be too short to be looked into
  const int n_workers = static_cast<int>(std::min<std::int64_t>(n_threads_, n_tasks));
  std::atomic<std::int64_t> next{0};
  cancelled_ = false;
  std::mutex mutex;
  std::condition_variable finished;
  int running = 0;
  std::exception_ptr failure;

  const auto fail = [&] {
    std::lock_guard lock(mutex);
    if (!failure) failure = std::current_exception();
    cancelled_ = true;
  };
  const auto work = [&](int worker) {
    const StandardFloatingPoint standard;
    try {
      while (!cancelled()) {
        const std::int64_t index = next.fetch_add(1, std::memory_order_relaxed);
        if (index >= n_tasks) break;
        task(index, worker);
      }
    } catch (...) {
      fail();
    }
    std::lock_guard lock(mutex);
    if (--running == 0) finished.notify_one();
  };

  std::vector<std::thread> threads;
  threads.reserve(n_workers);
  for (int worker = 0; worker < n_workers; ++worker) {
    try {
      {
        std::lock_guard lock(mutex);
        ++running;
      }
      threads.emplace_back(work, worker);
    } catch (...) {  // the system gives no more threads: go on with those there are, if any
      std::lock_guard lock(mutex);
      --running;
      if (threads.empty()) throw;
      break;
    }
  }
  {
    std::unique_lock lock(mutex);
    const auto idle = [&] { return running == 0; };
    while (!finished.wait_for(lock, std::chrono::milliseconds(50), idle)) {
      if (cancelled()) continue;
      lock.unlock();
      try {
        poll();
      } catch (...) {
        fail();
      }
      lock.lock();
    }
  }
  for (auto& thread : threads) thread.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace ilo
