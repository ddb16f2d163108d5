// Tasks over threads, with cancel and progress.
//
// The calling thread does not work: it waits, and every 50 ms lets the monitor look for an
// interrupt and draw progress. So Ctrl-C is answered within one task's length, and the monitor
// (Python) is only ever called from the thread that owns the interpreter. Threads live for one
// call: nothing is left behind that a fork() could trip over.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>

namespace ilo {

// Round to nearest, with gradual underflow, for as long as it lives: what the error bounds assume.
// A host application may have set other modes (torch.set_flush_denormal does), and threads inherit
// them.
class StandardFloatingPoint {
 public:
  StandardFloatingPoint() : saved_(use()) {}
  ~StandardFloatingPoint() { restore(saved_); }
  StandardFloatingPoint(const StandardFloatingPoint&) = delete;
  StandardFloatingPoint& operator=(const StandardFloatingPoint&) = delete;

  // The same in two halves: use() gives the mode that was there.
  static std::uint64_t use();
  static void restore(std::uint64_t mode);
  // Whether use() can have given it: the processor kills a process that sets other bits.
  static bool may_be(std::uint64_t mode);

 private:
  std::uint64_t saved_;
};

struct Monitor {
  virtual ~Monitor() = default;
  // Called about 20 times a second with the finished share of all work. May throw: the work is then
  // cancelled, the threads joined, and the exception goes on to the caller.
  virtual void poll(double done_share) = 0;
};

class Team {
 public:
  Team(int n_threads, Monitor* monitor,
       std::chrono::milliseconds interval = std::chrono::milliseconds(50))
      : n_threads_(n_threads), monitor_(monitor), interval_(interval) {}

  int size() const { return n_threads_; }

  // Announces how much work there will be, in the units that advance() counts.
  void expect(double total_units) { total_ = total_units; }
  // There is more to do than was announced: the finished share falls.
  void expect_more(double units) {
    total_ += units;
    unforeseen_ += units;
  }
  void advance(double units);

  // Of what expect() announced this much is done, and all that was unforeseen, whatever was
  // counted: some was not needed.
  void arrive(double units) { done_ = units + unforeseen_; }

  // Lets the monitor look, if `interval` has passed since it last did. Only for the calling thread:
  // for its own long loops, and between short runs.
  void poll();
  // For tasks of more than a fraction of a second: true once the rest of the work is not wanted.
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

  // Runs task(index, worker) for every index in [0, n_tasks), worker in [0, size()).
  // The first exception of a task, or of the monitor, stops the rest and is rethrown here.
  void run(std::int64_t n_tasks, const std::function<void(std::int64_t, int)>& task);

 private:
  int n_threads_;
  Monitor* monitor_;
  std::chrono::milliseconds interval_;
  double total_ = 1, unforeseen_ = 0;
  std::atomic<double> done_{0};
  std::atomic<bool> cancelled_{false};
  std::chrono::steady_clock::time_point polled_ = std::chrono::steady_clock::now();
};

}  // namespace ilo
