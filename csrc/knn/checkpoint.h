// Finished work on disk, so that a killed run goes on where it was.
//
// One file: what it belongs to, how far the filter came and every row's candidates; or, once all is
// done, the graph. It is written beside the old one, flushed, and put in its place, so that a file
// is always whole; a checksum tells should that fail. Numbers are in the machine's byte order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/parallel.h"
#include "knn/candidates.h"
#include "knn/graph.h"

namespace ilo {

class Checkpoint {
 public:
  // data: what the graph is of (rows, k, metric, ...); plan: how it is computed (filter, blocks).
  // A finished graph is written in pieces of so many bytes.
  Checkpoint(std::string path, std::uint64_t data, std::uint64_t plan, double every_seconds,
             std::size_t piece)
      : path_(std::move(path)),
        data_(data),
        plan_(plan),
        every_seconds_(every_seconds),
        piece_(piece) {}

  // The finished graph, if that is what the file holds, and is_possible() says of what has been
  // read that it may be one. Throws InvalidArgument if the file is of other data, or none of ours.
  bool load_graph(std::int64_t* indices, float* distances, std::int64_t count,
                  const std::function<bool()>& is_possible, GraphInfo& info);
  // Steps that are done, of so many, with their candidates among n_columns; 0 if there are none.
  // own_column(row) is no candidate of a row. Throws InvalidArgument if they are of another plan:
  // what it has done is not to be lost without a word.
  std::int64_t load_steps(Candidates& candidates, std::int64_t total, std::int64_t n_columns,
                          const std::function<std::int64_t(std::int64_t)>& own_column, Team& team);

  // Whether it is time for save_steps().
  bool is_due() const;
  // Called from the team's own thread. A failure to write stops nothing; the next save tries again.
  void save_steps(std::int64_t steps, const Candidates& candidates, Team& team);
  void save_graph(const std::int64_t* indices, const float* distances, std::int64_t count,
                  const GraphInfo& info, Team& team);

  // What went wrong and did not stop the work; empty if nothing.
  std::string problem() const {
    return damaged_ + (damaged_.empty() || unwritten_.empty() ? "" : "; ") + unwritten_;
  }

 private:
  std::string path_;
  std::uint64_t data_, plan_;
  double every_seconds_;
  std::size_t piece_;
  double last_save_ = 0, cost_of_save_ = 0;
  std::string damaged_, unwritten_;
};

}  // namespace ilo
