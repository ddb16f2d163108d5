// Who gets how much of the device's memory.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/arithmetic.h"
#include "core/errors.h"
#include "cuda/device.h"
#include "cuda/kernels/decide.h"
#include "cuda/panels.h"

namespace ilo::gpu {

struct Plan {
  bool is_resident = true;  // all rows of a layer lie on the device, packed
  bool prefetches = false;  // and those of the next layer beside them
  std::int64_t panel_rows = 0;
  std::int64_t tile = 0;            // rows and columns of a product, a multiple of 64
  std::int64_t capacity = 0;        // of a list
  std::int64_t cut_every = 0;       // products of a list's row between two looks at how full it is
  std::int64_t group_rows = 0;      // whose lists lie on the device at a time
  std::int64_t fallback_batch = 0;  // that are filtered again at a time
  std::int64_t fallback_capacity = 0;
  int measured_rows = 0;  // that are measured against all columns at a time, a multiple of kAtOnce
};

constexpr int kSlices = 256;  // of the rows, for their mean

// Below it a list could not be cut and still hold k.
inline std::int64_t smallest_capacity(std::int64_t k) { return 2 * k + 8; }

// For all layers of the input, in `budget` bytes, of which `taken` are not the plan's.
inline Plan make_plan(const DeviceInput& input, const DeviceOptions& options, const Layer& shape,
                      std::int64_t budget, std::int64_t taken) {
  constexpr std::int64_t kHit = sizeof(Hit) + sizeof(double);
  const std::int64_t n = input.n(), columns = input.n_base, queries = input.n_queries();
  const std::int64_t k = options.n_neighbors, d = input.d;
  const bool all_pairs = queries == columns && n == columns;

  Plan plan;
  plan.tile = options.tile_rows > 0 ? ceil_div(options.tile_rows, std::int64_t{64}) * 64 : 2048;
  plan.tile = std::min(plan.tile, ceil_div(std::max(columns, queries), std::int64_t{64}) * 64);
  plan.capacity = std::max(8 * k + 512, smallest_capacity(k));
  plan.fallback_batch = std::min<std::int64_t>(1024, ceil_div(queries, std::int64_t{64}) * 64);
  plan.fallback_capacity = std::max<std::int64_t>(4096, smallest_capacity(k));
  if (options.capacity > 0)
    plan.capacity = plan.fallback_capacity = std::max(options.capacity, smallest_capacity(k));

  const std::int64_t per_row = Panels::kBytesPerRow + 64;
  const std::int64_t of_measured = 8 * columns + 8 * d + 12 * k;
  plan.measured_rows = kAtOnce * static_cast<int>(std::clamp<std::int64_t>(
                                     budget / 16 / of_measured / kAtOnce, 1, 16));
  const auto fixed = [&] {
    return taken + n * 56 + columns * per_row + queries * (per_row + 12 * k) + queries * 12 * k +
           kSlices * d * 8 + 4 * plan.tile * plan.tile +
           plan.fallback_batch * (plan.fallback_capacity * kHit + Panels::bytes(shape, 1)) +
           plan.measured_rows * of_measured + (std::int64_t{40} << 20);
  };
  const auto halve = [](std::int64_t& value, std::int64_t least) {
    value = std::max(std::min(value, least), value / 2);
  };
  while (fixed() > budget / 2 && (plan.tile > 256 || plan.fallback_batch > 64 ||
                                  plan.fallback_capacity > smallest_capacity(k) + 256)) {
    halve(plan.tile, 256);
    halve(plan.fallback_batch, 64);
    halve(plan.fallback_capacity, smallest_capacity(k) + 256);
  }
  const std::int64_t left = budget - fixed();
  const auto lists = [&](std::int64_t rows) { return rows * plan.capacity * kHit; };
  const std::int64_t packed =
      Panels::bytes(shape, columns + (all_pairs ? 0 : queries)) -
      (shape.on_device ? 0 : (columns + (all_pairs ? 0 : queries)) * shape.row_bytes());
  const std::int64_t rows = packed + (shape.on_device ? 0 : n * shape.row_bytes());
  while (options.capacity == 0 && plan.capacity > smallest_capacity(k) + 64 &&
         lists(queries) + rows > left)
    halve(plan.capacity, smallest_capacity(k) + 64);

  // The first thresholds come from a sample of as many columns as a list holds: of M columns about
  // M k / capacity pass, which should fill no more than half of it.
  const std::int64_t cut_every =
      std::clamp<std::int64_t>(plan.capacity * plan.capacity / (4 * k), 128, 8192);
  plan.cut_every = ceil_div(cut_every, std::int64_t{64}) * 64;
  plan.tile = std::min(plan.tile, plan.cut_every);

  plan.group_rows = queries;
  plan.panel_rows = std::max(columns, queries);
  plan.is_resident = options.panel_rows == 0 && lists(queries) + rows <= left;
  if (plan.is_resident) {
    plan.prefetches = !shape.on_device && input.n_layers > 1 &&
                      lists(queries) + rows + n * shape.row_bytes() <= left;
    return plan;
  }
  // Lists get half of what is left, panels the other: three of the rows that are searched, and as
  // many of the query rows.
  const std::int64_t sets = all_pairs ? 1 : 2;
  plan.panel_rows = options.panel_rows > 0
                        ? options.panel_rows
                        : left / 2 / Panels::kSlots / sets / Panels::bytes(shape, 1);
  plan.group_rows = left / 2 / std::max<std::int64_t>(1, lists(1));
  const std::int64_t least = std::min<std::int64_t>(64, queries);
  if (left <= 0 || (options.panel_rows == 0 && plan.panel_rows < least) || plan.group_rows < least)
    throw InvalidArgument(text(
        budget >> 20, " MiB of the device's memory are too little for ", n, " rows of ", d,
        " values and n_neighbors=", k, ": at the least ",
        ((fixed() + 2 * lists(least) + 2 * sets * Panels::kSlots * Panels::bytes(shape, least)) >>
         20) +
            1,
        " MiB are needed. Free some of it (torch.cuda.empty_cache()), raise max_memory, or use "
        "backend='exact'"));
  plan.panel_rows = std::min({plan.panel_rows, plan.group_rows, std::max(columns, queries)});
  plan.group_rows = std::min(queries, plan.group_rows / plan.panel_rows * plan.panel_rows);
  return plan;
}

// Pairs of rows that are multiplied, about: Team's unit.
inline double work_of(const DeviceInput& input, std::int64_t group_rows) {
  const auto columns = static_cast<double>(input.n_base),
             queries = static_cast<double>(input.n_queries());
  if (input.n() > input.n_base) return columns * queries;
  return columns * columns - 0.5 * columns * static_cast<double>(group_rows);
}

}  // namespace ilo::gpu
