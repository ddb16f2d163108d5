// The schedule: which blocks are multiplied, and where the hits go.
//
// All pairs: rows and columns are the same; every pair of blocks is multiplied once, for its rows
// and its columns. Queries: rows and columns differ, and only rows get candidates. Both sides: they
// differ, and each gets candidates among the other. A row is never a candidate of itself.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "core/parallel.h"
#include "knn/candidates.h"
#include "knn/packed.h"
#include "knn/workers.h"

namespace ilo {

class Filter {
 public:
  Filter(PackedRows& rows, PackedRows& columns, bool all_pairs, const Kernels& kernels, Team& team,
         std::vector<Worker>& workers, Candidates& candidates, double step_work,
         Candidates* of_columns = nullptr);  // of both sides

  // All of it. With `between`, in steps of about step_work multiply-adds, the first `done` of which
  // are skipped; between two of them no thread is at work, and what there is can be saved.
  void run(std::int64_t done = 0, std::function<void(std::int64_t finished)> between = nullptr);
  // How many steps there are.
  std::int64_t count_steps();

 private:
  void schedule();
  void triangle(std::int64_t s);
  void rectangle(std::int64_t s, std::int64_t other, int slot);
  void in_steps(std::int64_t n_tasks, std::int64_t group, const std::function<void()>& load,
                const std::function<void(std::int64_t task, int worker)>& task);
  void square(std::int64_t first, std::int64_t count, Worker& worker);
  void multiply(std::int64_t s, std::int64_t i, int slot, std::int64_t other, std::int64_t j,
                int worker);

  PackedRows &rows_, &columns_;
  bool all_pairs_;
  const Kernels& kernels_;
  Team& team_;
  std::vector<Worker>& workers_;
  Candidates& candidates_;
  Candidates* of_columns_;
  double step_work_;
  // Of blocks of rows, and of columns where these have candidates of their own.
  std::vector<std::mutex> locks_, column_locks_;
  // Of the present run.
  std::int64_t step_ = 0, done_ = 0;
  bool only_count_ = false;
  std::function<void(std::int64_t)> between_;
};

}  // namespace ilo
