// Products of packed rows, tile by tile, and their hits: by cuBLASLt into a tile that is then
// looked at, or fused with the look.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "core/errors.h"
#include "core/parallel.h"
#include "cuda/cublaslt.h"
#include "cuda/device.h"
#include "cuda/kernels/fused.h"
#include "cuda/kernels/scan.h"
#include "cuda/plan.h"
#include "cuda/upload.h"

namespace ilo::gpu {

// For the error bound of knn/certificate.h, in units of 2^-24: what a tensor core may lose of a
// product of d terms. It is no IEEE adder. Per step it adds g products (exact) to the sum so far,
// aligned to the largest of these g + 1 addends, of each of which what lies below 2^-23 of the
// largest may be cut off; so may what lies below 2^-23 of the new sum. No addend and no sum exceeds
// the sum of all magnitudes, P: a step loses at most (g + 2) 2^-23 P, all d / g steps d (1 + 2/g)
// 2^-23 P. g is 8 on an A100 and 16 on an H100 (4 on a V100, for which nothing is built; Fasi,
// Higham, Mikaitis and Pranesh, PeerJ CS 7:e330, 2021; Li et al., arXiv 2403.00232): 2.5 d units,
// and 64 for steps that d does not fill. Fewer and better rounded operations, as of a product in
// plain float32, lose less.
inline std::int64_t tensor_core_roundings(std::int64_t d) { return (5 * d + 1) / 2 + 64; }
// Factors are at least 2^-110 and products of float16 at least 2^-48: two multiplications that may
// underflow, each by half of 2^-149.
constexpr double kUnderflow = 0x1p-148;

// Keeps the queue of the device short enough for Ctrl-C and progress, long enough that it never
// runs dry.
class Pace {
 public:
  Pace(cudaStream_t stream, Team& team, Uploader& uploader)
      : stream_(stream), team_(team), uploader_(uploader) {}

  // After every few launches: `work` in the units of Team::expect.
  void step(double work) {
    team_.advance(work);
    if (++steps_ % kSteps != 0) return;
    Event& older = events_[turn_ ^= 1];
    while (recorded_[turn_] && !older.ready() && uploader_.step()) team_.poll();
    if (recorded_[turn_]) older.synchronize();
    older.record(stream_);
    recorded_[turn_] = true;
    team_.poll();
  }

 private:
  static constexpr int kSteps = 16;
  cudaStream_t stream_;
  Team& team_;
  Uploader& uploader_;
  Event events_[2];
  bool recorded_[2] = {false, false};
  int turn_ = 0;
  std::int64_t steps_ = 0;
};

inline Side part(const Side& side, int begin, std::int64_t most) {
  Side out = side;
  out.packed += begin * side.stride;
  out.factor += begin;
  out.half += begin;
  out.first += begin;
  out.count = static_cast<int>(std::min<std::int64_t>(most, side.count - begin));
  return out;
}

// How lists are cut on the way: of rows whose numbers are the lists' own.
struct Cutting {
  QueryRows queries;
  const Certificate* certificate;
  int k;
};

class Products {
 public:
  Products(const DeviceInput& input, const DeviceOptions& options, cudaStream_t stream, Pace& pace)
      : stream_(stream),
        pace_(pace),
        d_(input.d),
        library_(may_use_library(input, options) ? options.library : kNoLibrary),
        is_fused_(!library_.available()) {
    if (options.product == "library" && is_fused_)
      throw InvalidArgument("cuBLASLt is not to be had: " + library_.problem() +
                            "; leave product out, and the engine multiplies by itself");
  }

  std::string name() const { return is_fused_ ? "fused" : library_.name(); }
  void release() { tile_.release(); }

  // Offers the hits of all pairs of rows and columns to the rows' lists, and if `both` to the
  // columns'. queries: for the own columns of rows. counts: whether the pairs are work that was
  // announced.
  void multiply(const Side& rows, const Side& columns, bool both, const Lists& lists,
                const QueryRows& queries, const Plan& plan, const Cutting* cutting, bool counts) {
    const bool same = both && rows.first == columns.first;
    const std::int64_t side = is_fused_ ? std::min(2 * plan.tile, plan.cut_every) : plan.tile;
    std::int64_t rows_since_cut = 0;
    for (int r = 0; r < rows.count; r += static_cast<int>(side)) {
      const Side a = part(rows, r, side);
      std::int64_t columns_since_cut = 0;
      for (int c = same ? r : 0; c < columns.count; c += static_cast<int>(side)) {
        const Side b = part(columns, c, side);
        if (is_fused_)
          fused_filter(stream_, a, b, d_, both, lists, lists, queries.own);
        else
          multiply_tile(a, b, both && a.first != b.first, lists, queries, plan.tile);
        if (cutting && (columns_since_cut += side) >= plan.cut_every) {
          cut(a, lists, *cutting);
          columns_since_cut = 0;
        }
        const double pairs = static_cast<double>(a.count) * b.count;
        pace_.step(counts ? (same && a.first == b.first ? 0.5 * pairs : pairs) : 0);
      }
      if (!cutting) continue;
      cut(a, lists, *cutting);
      if (both && (rows_since_cut += side) >= plan.cut_every) {
        cut(columns, lists, *cutting);
        rows_since_cut = 0;
      }
    }
  }

  void cut(const Side& rows, const Lists& lists, const Cutting& by) {
    launch(stream_, dim3(ceil_div(rows.count, kCutRows)), dim3(kBlock), 0, cut_lists, rows.first,
           rows.count, by.queries, *by.certificate, by.k, lists);
  }

 private:
  // Up to so many values the traffic of a tile costs more than the library's better product gains.
  static constexpr std::int64_t kFusedUpTo = 1024;

  static bool may_use_library(const DeviceInput& input, const DeviceOptions& options) {
    if (!options.product.empty() && options.product != "library" && options.product != "fused")
      throw InvalidArgument("product='" + options.product + "' is not 'library' or 'fused'");
    return options.product == "library" || (options.product.empty() && input.d > kFusedUpTo);
  }

  void multiply_tile(const Side& a, const Side& b, bool both, const Lists& lists,
                     const QueryRows& queries, std::int64_t side) {
    if (tile_.size() < static_cast<std::size_t>(side * side)) {
      tile_.reserve(side * side);
      // Where columns are no multiple of four, scan_tile looks past them, and at nothing it finds.
      check(cudaMemsetAsync(tile_.data(), 0, tile_.bytes(), stream_), "clearing the tile");
    }
    library_.product(stream_, a.packed, a.stride, a.count, b.packed, b.stride, b.count, a.stride,
                     tile_.data(), side);
    launch(stream_,
           dim3(static_cast<unsigned>(ceil_div(b.count, kScanColumns)),
                static_cast<unsigned>(ceil_div(a.count, kScanRows))),
           dim3(kScanThreads), 0, scan_tile, tile_.data(), side, a, b, queries, both, lists);
  }

  cudaStream_t stream_;
  Pace& pace_;
  std::int64_t d_;
  LibraryProduct library_;
  bool is_fused_;
  Buffer<float> tile_;
};

}  // namespace ilo::gpu
