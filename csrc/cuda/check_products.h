// The certificate is as good as what it assumes of the device's arithmetic. So before anything
// relies on it, some products of these very rows are compared with float64.
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "core/errors.h"
#include "cuda/kernels/decide.h"
#include "cuda/panels.h"
#include "cuda/products.h"
#include "cuda/staging_buffer.h"

namespace ilo::gpu {

inline void check_products(Products& products, Panels& base, const Layer& layer, const Plan& plan,
                           const Certificate& certificate, StagingBuffer& staging,
                           cudaStream_t stream) {
  Buffer<double> probed(2);
  launch(stream, dim3(1), dim3(1), 0, probe_arithmetic, 1 + 0x1p-30, 1 - 0x1p-30, 0x1p-140f,
         probed.data());
  if (to_host(stream, probed.data(), 2) != std::vector<double>{0, 0x1p-140})
    throw std::runtime_error(
        "the engine for GPUs was built with fast arithmetic (-use_fast_math, --fmad or --ftz), but "
        "needs every operation rounded by itself: build it without such flags");
  constexpr int kRows = 64;
  const Panels::Panel panel = base.get(0);
  const Side rows = part(panel.side, 0, kRows);
  const int c0 = std::max(0, panel.count - kRows);
  const Side columns = part(panel.side, c0, kRows);
  Buffer<Hit> hits(kRows * kRows);
  Buffer<int> count(kRows), which;
  Buffer<float> threshold(kRows);
  Buffer<unsigned> lost(kRows);
  Buffer<double> u(rows.count * layer.d), squared(kRows * kRows);
  const Lists lists{hits.data(), count.data(), threshold.data(), lost.data(), kRows};
  launch(stream, dim3(1), dim3(kBlock), 0, clear_lists, 0, rows.count, lists);
  products.multiply(rows, columns, false, lists, QueryRows{nullptr, nullptr}, plan, nullptr, false);
  std::vector<int> numbers(rows.count);
  std::iota(numbers.begin(), numbers.end(), 0);
  staging.send(which, numbers);
  with_dtype(layer.dtype, [&](auto element) {
    using Element = decltype(element);
    launch(stream, dim3(rows.count), dim3(kBlock), 0, rows_to_float64<Element>, which.data(),
           panel.values, panel.numbers, layer.norms, u.data());
    Values values = panel.values;
    values.rows += c0;
    for (int r = 0; r < rows.count; r += kAtOnce)
      launch(stream, dim3(striding_blocks_for(columns.count * kLanes)), dim3(kBlock), 0,
             measure_all<Element>, u.data() + r * layer.d, std::min(kAtOnce, rows.count - r), 0,
             columns.count, values, panel.numbers + c0, layer.norms, std::int64_t{kRows},
             squared.data() + r * kRows);
  });
  const std::vector<Hit> found = to_host(stream, hits.data(), kRows * kRows);
  const std::vector<int> counts = to_host(stream, count.data(), rows.count);
  const std::vector<double> exact = to_host(stream, squared.data(), kRows * kRows);
  const std::vector<RowBound> bound = to_host(stream, base.bound(), panel.count);
  for (int r = 0; r < rows.count; ++r) {
    bool good = counts[r] == columns.count - (r >= c0);
    for (int h = 0; good && h < counts[r]; ++h) {
      const Hit& hit = found[r * kRows + h];
      const double distance = layer.scale * std::sqrt(exact[r * kRows + hit.column - c0]);
      const RowBound &i = bound[r], &j = bound[hit.column];
      good = certificate.lower_bound(hit.score, i, j) <= distance * (1 + 0x1p-30) &&
             certificate.upper_bound(hit.score, i, j) >= distance * (1 - 0x1p-30);
    }
    if (!good)
      throw std::runtime_error(
          text("the products that this device computes (", products.name(),
               ") differ from float64 by more than the engine allows for, or are not all there: "
               "please report this; backend='exact' gives the graph"));
  }
}

}  // namespace ilo::gpu
