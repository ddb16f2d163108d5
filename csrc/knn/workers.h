// What a worker needs for the product of two blocks and for distances in float64.
#pragma once

#include <vector>

#include "knn/buffer.h"
#include "knn/kernels/kernels.h"

namespace ilo {

struct Worker {
  Worker(std::int64_t block, std::int64_t d)
      // Rows of the tile do not lie a power of two apart: they would share few lines of the cache.
      : stride(block % 64 == 0 ? block + 16 : block),
        tile(block * stride),
        row_hits(block),
        column_hits(block),
        u(d) {}

  std::int64_t stride;
  Buffer<float> tile;
  std::vector<Hit> row_hits, column_hits;
  struct Pending {
    std::int64_t column;
    Hit hit;
  };
  std::vector<Pending> pending;
  Buffer<double> u;
};

inline std::vector<Worker> make_workers(int count, std::int64_t block, std::int64_t d) {
  std::vector<Worker> workers;
  for (int w = 0; w < count; ++w) workers.emplace_back(block, d);
  return workers;
}

}  // namespace ilo
