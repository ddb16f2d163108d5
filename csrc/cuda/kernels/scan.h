// What a product is looked at for: hits, and lists of them that give thresholds and are cut.
#pragma once

#include <cmath>
#include <cstdint>

#include "cuda/kernels/lists.h"
#include "cuda/kernels/select.h"
#include "knn/certificate.h"

namespace ilo::gpu {

// Of the query rows: bound[r] and own[r], the number of the column that is the row itself (-1:
// none; own is null where rows are columns of the same number).
struct QueryRows {
  const RowBound* bound;
  const int* own;

  __device__ int own_column(int row) const { return own ? own[row] : row; }
};

// Below the k-th best score itself, even if all are equal (candidates.h).
__device__ inline float estimated_below(const Certificate& certificate, const RowBound& bound,
                                        float kth) {
  const float estimated = certificate.estimated_threshold(bound, kth);
  const float below = nextafterf(kth, -INFINITY);
  return estimated < below ? estimated : below;
}

// First thresholds, from lists that hold a sample of the columns: empties them. (Their hits will be
// offered again, with all others.) A block takes a row.
inline __global__ void take_thresholds(int first, QueryRows queries, Certificate certificate, int k,
                                       Lists lists) {
  const int row = first + blockIdx.x, count = lists.count[row];
  if (count >= k && count <= lists.capacity) {
    const Hit* hits = lists.of(row);
    const auto best = select_largest<unsigned>(count, k, [&](std::int64_t i, unsigned& key) {
      key = ordered(hits[i].score);
      return true;
    });
    if (threadIdx.x == 0)
      lists.threshold[row] =
          estimated_below(certificate, queries.bound[row], from_ordered(best.key));
  }
  __syncthreads();  // all have read the count
  if (threadIdx.x == 0) {
    lists.count[row] = 0;
    lists.lost[row] = kNothing;
  }
}

constexpr int kScanThreads = 128, kScanColumns = 4 * kScanThreads, kScanRows = 16, kScanAtOnce = 8;

// Offers the hits of a tile to its rows, and if `both` to its columns. A block takes 16 rows x 512
// columns, a thread four columns; eight rows are on their way to it at a time, since nothing is
// loaded past the atomics of an offer.
inline __global__ void __launch_bounds__(kScanThreads)
    scan_tile(const float* tile, std::int64_t ld, Side rows, Side columns, QueryRows queries,
              bool both, Lists lists) {
  __shared__ float row_factor[kScanRows], row_half[kScanRows], row_threshold[kScanRows];
  const int r0 = blockIdx.y * kScanRows;
  const int n_rows = rows.count - r0 < kScanRows ? rows.count - r0 : kScanRows;
  for (int r = threadIdx.x; r < n_rows; r += blockDim.x) {
    row_factor[r] = rows.factor[r0 + r];
    row_half[r] = rows.half[r0 + r];
    row_threshold[r] = lists.threshold[rows.first + r0 + r];
  }
  __syncthreads();
  const int c0 = blockIdx.x * kScanColumns + 4 * threadIdx.x;
  float factor[4], half[4], threshold[4];
  for (int q = 0; q < 4; ++q) {
    const bool exists = c0 + q < columns.count;
    factor[q] = exists ? columns.factor[c0 + q] : 0;
    half[q] = exists ? columns.half[c0 + q] : INFINITY;  // its score is minus infinity
    threshold[q] = exists && both ? lists.threshold[columns.first + c0 + q] : INFINITY;
  }
  if (c0 >= columns.count) return;
  for (int first = 0; first < n_rows; first += kScanAtOnce) {
    float product[kScanAtOnce][4];
#pragma unroll
    for (int a = 0; a < kScanAtOnce; ++a) {
      if (first + a >= n_rows) break;
      const float4 loaded = *reinterpret_cast<const float4*>(
          tile + static_cast<std::int64_t>(r0 + first + a) * ld + c0);
      product[a][0] = loaded.x, product[a][1] = loaded.y;
      product[a][2] = loaded.z, product[a][3] = loaded.w;
    }
#pragma unroll
    for (int a = 0; a < kScanAtOnce; ++a) {
      const int r = first + a;
      if (r >= n_rows) break;
#pragma unroll
      for (int q = 0; q < 4; ++q) {
        if (c0 + q >= columns.count) break;
        const float value = scaled(product[a][q], row_factor[r], factor[q]);
        const int row = rows.first + r0 + r, column = columns.first + c0 + q;
        if (value - half[q] > row_threshold[r] && queries.own_column(row) != column)
          offer(lists, row, column, value - half[q]);
        if (value - row_half[r] > threshold[q]) offer(lists, column, row, value - row_half[r]);
      }
    }
  }
}

// Cuts a list: to what could still be among the k nearest, judging by the k-th best so far; where
// that leaves more than three quarters, to the better half. What is cut scores at most the new
// threshold.
__device__ inline void cut_list(int row, const QueryRows& queries, const Certificate& certificate,
                                int k, const Lists& lists) {
  const int count = lists.count[row] < lists.capacity ? lists.count[row] : lists.capacity;
  if (count < k) return;
  Hit* hits = lists.of(row);
  const auto key_of = [&](std::int64_t i, unsigned& key) {
    key = ordered(hits[i].score);
    return true;
  };
  const float kth = from_ordered(select_largest<unsigned>(count, k, key_of).key);
  float threshold = lists.threshold[row];
  const float estimated = estimated_below(certificate, queries.bound[row], kth);
  threshold = estimated > threshold ? estimated : threshold;

  __shared__ int kept, ties;
  __syncthreads();  // the list before is done with
  if (threadIdx.x == 0) kept = 0;
  __syncthreads();
  for (int i = threadIdx.x; i < count; i += blockDim.x)
    if (hits[i].score > threshold) atomicAdd(&kept, 1);
  __syncthreads();
  int room = 0;  // for hits that score exactly the threshold
  const bool too_many = kept > lists.capacity - lists.capacity / 4;
  __syncthreads();  // kept is used again
  if (too_many) {
    const int stay = lists.capacity / 2 > k ? lists.capacity / 2 : k;
    const auto worst = select_largest<unsigned>(count, stay, key_of);
    threshold = from_ordered(worst.key);
    room = stay - static_cast<int>(worst.larger);
  }
  if (threadIdx.x == 0) kept = 0, ties = 0;
  // Chunk by chunk: what is written lies before what is still to be read.
  for (int begin = 0; begin < count; begin += blockDim.x) {
    const int i = begin + threadIdx.x;
    const Hit hit = i < count ? hits[i] : Hit{};
    __syncthreads();
    if (i < count && (hit.score > threshold ||
                      (hit.score == threshold && room > 0 && atomicAdd(&ties, 1) < room)))
      hits[atomicAdd(&kept, 1)] = hit;
    __syncthreads();
  }
  if (threadIdx.x == 0) {
    lists.count[row] = kept;
    lists.threshold[row] = threshold;
  }
}

// Cuts the lists that are more than half full. A block looks at 16 rows.
constexpr int kCutRows = 16;
inline __global__ void cut_lists(int first, int rows, QueryRows queries, Certificate certificate,
                                 int k, Lists lists) {
  const int begin = first + static_cast<int>(blockIdx.x) * kCutRows;
  const int end = begin + kCutRows < first + rows ? begin + kCutRows : first + rows;
  for (int row = begin; row < end; ++row)
    if (lists.count[row] > lists.capacity / 2) cut_list(row, queries, certificate, k, lists);
}

// Empty lists that everything may enter.
inline __global__ void clear_lists(int first, int rows, Lists lists) {
  const int row = first + static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (row >= first + rows) return;
  lists.count[row] = 0;
  lists.threshold[row] = -INFINITY;
  lists.lost[row] = kNothing;
}

}  // namespace ilo::gpu
