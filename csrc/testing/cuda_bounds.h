// What the certificate of the engine for GPUs claims, pair by pair; for tests, since it needs an n
// x n matrix, which the engine never has.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/parallel.h"
#include "cuda/device.h"
#include "cuda/device_rows.h"
#include "cuda/plan.h"
#include "cuda/products.h"
#include "cuda/search.h"
#include "cuda/staging_buffer.h"
#include "cuda/upload.h"

namespace ilo::gpu {

inline double certified_bounds(const DeviceInput& input, DeviceOptions options, double* bounds) {
  const StandardFloatingPoint standard;
  const DeviceGuard device(options.device);
  options.product = "fused";
  const auto stream = reinterpret_cast<cudaStream_t>(options.stream);
  Team team(1, nullptr);
  Uploader uploader(stream, team);
  StagingBuffer staging(stream);
  Pace pace(stream, team, uploader);
  DeviceRows rows(input, options.metric, team, stream, uploader, staging);
  Products products(input, options, stream, pace);
  Search search(input, options, team, stream, uploader, staging, rows, products, pace);
  const Plan plan = make_plan(input, options, rows.layer(), std::int64_t{1} << 30, 0);
  rows.prepare(0, plan);
  DeviceInfo info;
  search.arrange(plan, info);

  Panels& base = search.base();
  const std::int64_t n = base.size(), n_rows = input.n();
  Buffer<Hit> all_hits(n * n);
  Buffer<int> counts(n);
  Buffer<float> threshold(n);
  Buffer<unsigned> lost(n);
  const Lists lists{all_hits.data(), counts.data(), threshold.data(), lost.data(),
                    static_cast<int>(n)};
  launch(stream, dim3(blocks_for(n)), dim3(kBlock), 0, clear_lists, 0, static_cast<int>(n), lists);
  const Side all = base.get(0).side;
  products.multiply(all, all, true, lists, QueryRows{nullptr, nullptr}, plan, nullptr, false);
  const std::vector<Hit> hits = to_host(stream, lists.hits, n * n);
  const std::vector<int> count = to_host(stream, lists.count, n);
  const std::vector<RowBound> bound = to_host(stream, base.bound(), n);

  std::fill_n(bounds, n_rows * n_rows, 0.0);  // of equal rows, and of a row with itself
  const EqualRows& equals = rows.equals();
  const auto for_members = [&](int column, auto visit) {
    const int g = search.column_ids()[column];
    for (int m = equals.offset[g]; m < equals.offset[g + 1]; ++m) visit(equals.members[m]);
  };
  for (int a = 0; a < n; ++a)
    for (int h = 0; h < count[a]; ++h) {
      const Hit& hit = hits[a * n + h];
      const double low = search.certificate().lower_bound(hit.score, bound[a], bound[hit.column]);
      for_members(
          a, [&](int r) { for_members(hit.column, [&](int c) { bounds[r * n_rows + c] = low; }); });
    }
  return rows.layer().scale;
}

}  // namespace ilo::gpu
