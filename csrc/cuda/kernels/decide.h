// From candidates to neighbours, on the device: which hits are measured in float64, the measuring,
// and what the certificate says (knn/decide.h does the same on the CPU).
//
//   choose_best      marks the k best of every list
//   measure_chosen   float64 distances of what is marked
//   choose_within_bound   marks what the bound does not exclude, now that a radius is known
//   measure_chosen   of those
//   conclude         the k nearest of what was measured; whether that is certified, or the row is
//   uncertified
//
// Uncertified rows meet all columns again with a threshold that certifies them (search.h filters
// them anew, with longer lists), and if even these lists overflow, measure_all measures every
// column.
#pragma once

#include <cmath>
#include <cstdint>

#include "cuda/kernels/intrinsics.h"
#include "cuda/kernels/lists.h"
#include "cuda/kernels/scan.h"
#include "cuda/kernels/select.h"
#include "cuda/kernels/values.h"

namespace ilo::gpu {

// The lists' rows are not always numbered like the query rows: uncertified rows are filtered
// again as 0, 1, 2, ... of a batch.
struct Deciding {
  Lists lists;
  double* squared;          // beside lists.hits: a distance, or kNotMeasured, or kMarked
  const int* query_of_row;  // [list rows] their numbers among the query rows; null: the same
  QueryRows queries;        // by number of the queries row
  const int* column_id;     // unique rows, by number of the column, as the next
  const RowBound* column_bound;
  int n_columns, k;
  // Results: [queries rows][k]
  int* nearest_id;
  double* nearest_squared;
  // [queries rows]: the k-th smallest squared distance that was measured, or infinity.
  double* worst;
  // The uncertified: list rows, in any order.
  int* uncertified;
  int* n_uncertified;
  unsigned long long* measured;  // distances, in all
  bool none_is_certified;

  __device__ int query_row(int row) const { return query_of_row ? query_of_row[row] : row; }
  __device__ int wanted(int a) const {
    const int others = n_columns - (queries.own_column(a) >= 0 ? 1 : 0);
    return k < others ? k : others;
  }
  __device__ int size(int row) const {
    return lists.count[row] < lists.capacity ? lists.count[row] : lists.capacity;
  }
  __device__ double* squared_of(int row) const {
    return squared + static_cast<std::int64_t>(row - lists.first) * lists.capacity;
  }
};

constexpr double kNotMeasured = -2, kMarked = -1;

inline __global__ void choose_best(int first, Deciding in) {
  const int row = first + blockIdx.x, size = in.size(row);
  const int wanted = in.wanted(in.query_row(row));
  const Hit* hits = in.lists.of(row);
  double* squared = in.squared_of(row);
  unsigned best = 0;  // all
  if (size > wanted && wanted > 0)
    best = select_largest<unsigned>(size, wanted, [&](std::int64_t i, unsigned& key) {
             key = ordered(hits[i].score);
             return true;
           }).key;
  for (int i = threadIdx.x; i < size; i += blockDim.x)
    squared[i] = ordered(hits[i].score) >= best ? kMarked : kNotMeasured;
}

inline __global__ void choose_within_bound(int first, Deciding in, Certificate certificate) {
  const int row = first + blockIdx.x, size = in.size(row), a = in.query_row(row);
  const Hit* hits = in.lists.of(row);
  double* squared = in.squared_of(row);
  // The best by score were measured, as many as are wanted or more: the largest of these distances
  // is at least the k-th smallest.
  __shared__ unsigned long long largest;
  if (threadIdx.x == 0) largest = 0;
  __syncthreads();
  for (int i = threadIdx.x; i < size; i += blockDim.x)
    if (squared[i] >= 0)
      atomicMax(&largest, static_cast<unsigned long long>(__double_as_longlong(squared[i])));
  __syncthreads();
  const double delta =
      size < in.wanted(a)
          ? INFINITY
          : certificate.beyond(__longlong_as_double(static_cast<long long>(largest)));
  for (int i = threadIdx.x; i < size; i += blockDim.x)
    if (squared[i] == kNotMeasured &&
        !(certificate.lower_bound(hits[i].score, in.queries.bound[a],
                                  in.column_bound[hits[i].column]) > delta))
      squared[i] = kMarked;
}

// Measures the marked hits of list rows first, first + 1, ..., which are the rows of `rows`, among
// the columns first_column .. + n_columns, which are the rows of `columns`. A block takes a row;
// its u lies in shared memory where there is room.
template <class Element>
__global__ void measure_chosen(int first, Values rows, const int* row_numbers, int first_column,
                               int n_columns, Values columns, const int* column_numbers,
                               Norms norms, bool keep_row, Deciding in) {
  const int row = first + blockIdx.x, size = in.size(row);
  const Hit* hits = in.lists.of(row);
  double* squared = in.squared_of(row);
  const Row<Element> own(rows, blockIdx.x, norms, row_numbers[blockIdx.x]);
  double* kept = dynamic_shared<double>();
  if (keep_row) {
    for (std::int64_t k = threadIdx.x; k < rows.d; k += blockDim.x) kept[k] = own.u(k);
    __syncthreads();
  }
  const auto u = [&](std::int64_t k) { return keep_row ? kept[k] : own.u(k); };
  const int step = blockDim.x / kLanes, lane = threadIdx.x / kLanes;
  int measured = 0;
  for (int begin = 0; begin < size; begin += step) {
    const int i = begin + lane;
    const int c = i < size ? hits[i].column - first_column : -1;
    const bool mine = c >= 0 && c < n_columns && squared[i] == kMarked;
    if (__ballot_sync(kWarp, mine) == 0) continue;
    const int column = mine ? c : 0;  // the other half of the warp goes along
    const Row<Element> other(columns, column, norms, column_numbers[column]);
    const double distance = squared_distance(u, [&](std::int64_t k) { return other.u(k); }, rows.d);
    if (mine && lane16() == 0) squared[i] = distance, ++measured;
  }
  if (measured > 0) atomicAdd(in.measured, static_cast<unsigned long long>(measured));
}

// The order that the definition asks for.
__device__ inline bool nearer(double squared, int id, double other, int other_id) {
  return squared != other ? squared < other : id < other_id;
}

inline __global__ void conclude(int first, Deciding in, Certificate certificate) {
  const int row = first + blockIdx.x, size = in.size(row), a = in.query_row(row);
  const int wanted = in.wanted(a);
  const Hit* hits = in.lists.of(row);
  const double* squared = in.squared_of(row);
  __shared__ unsigned long long worst;
  __shared__ int found;
  if (threadIdx.x == 0) worst = 0, found = 0;
  __syncthreads();
  // The place of each is the number of those before it.
  for (int i = threadIdx.x; i < size; i += blockDim.x) {
    if (squared[i] < 0) continue;
    const int id = in.column_id[hits[i].column];
    int place = 0;
    for (int other = 0; other < size && place < wanted; ++other)
      place += squared[other] >= 0 &&
               nearer(squared[other], in.column_id[hits[other].column], squared[i], id);
    if (place >= wanted) continue;
    const std::int64_t to = static_cast<std::int64_t>(a) * in.k + place;
    in.nearest_id[to] = id;
    in.nearest_squared[to] = squared[i];
    atomicMax(&worst, static_cast<unsigned long long>(__double_as_longlong(squared[i])));
    atomicAdd(&found, 1);
  }
  __syncthreads();
  if (threadIdx.x != 0) return;
  const bool full = found == wanted;
  const double distance = full ? __longlong_as_double(static_cast<long long>(worst)) : INFINITY;
  in.worst[a] = distance;
  const float lost = in.lists.lost[row] == kNothing ? -INFINITY : from_ordered(in.lists.lost[row]);
  const float discarded = lost > in.lists.threshold[row] ? lost : in.lists.threshold[row];
  const bool certified =
      full && !in.none_is_certified &&
      discarded <= certificate.threshold(in.queries.bound[a], certificate.beyond(distance));
  if (!certified) in.uncertified[atomicAdd(in.n_uncertified, 1)] = row;
}

// Thresholds that certify: nothing that scores at most that much can be among the k nearest.
inline __global__ void set_thresholds(int rows, Deciding in, Certificate certificate) {
  const int row = blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  const int a = in.query_row(row);
  in.lists.threshold[row] =
      certificate.threshold(in.queries.bound[a], certificate.beyond(in.worst[a]));
  in.lists.count[row] = 0;
  in.lists.lost[row] = kNothing;
}

// ---- rows against all columns

constexpr int kAtOnce = 8;  // rows

// u[b] of row which[b] of `rows`; a block takes one.
template <class Element>
__global__ void rows_to_float64(const int* which, Values rows, const int* numbers, Norms norms,
                                double* u) {
  const Row<Element> row(rows, which[blockIdx.x], norms, numbers[which[blockIdx.x]]);
  for (std::int64_t k = threadIdx.x; k < rows.d; k += blockDim.x)
    u[blockIdx.x * rows.d + k] = row.u(k);
}

// squared[r * stride + first_column + c] for r < n_rows <= kAtOnce and all rows c of `columns`.
template <class Element>
__global__ void measure_all(const double* u, int n_rows, int first_column, int n_columns,
                            Values columns, const int* column_numbers, Norms norms,
                            std::int64_t stride, double* squared) {
  const std::int64_t step = half_warps();
  for (std::int64_t at = half_warp(); at - (at & 1) < n_columns; at += step) {
    const std::int64_t c = at < n_columns ? at : n_columns - 1;
    const Row<Element> column(columns, c, norms, column_numbers[c]);
    double sum[kAtOnce] = {};
    for (std::int64_t k = lane16(); k < columns.d; k += kLanes) {
      const double v = column.u(k);
      for (int r = 0; r < kAtOnce; ++r) {
        const double e = u[(r < n_rows ? r : 0) * columns.d + k] - v;
        sum[r] += e * e;
      }
    }
    for (int r = 0; r < kAtOnce; ++r) {
      const double total = add_lanes(sum[r]);
      if (r < n_rows && at < n_columns && lane16() == 0)
        squared[r * stride + first_column + c] = total;
    }
  }
}

// The k nearest of squared[b * stride ..] for list row uncertified[b]; a block each. scratch_*:
// [blocks][k].
inline __global__ void conclude_all(const int* uncertified, const double* squared,
                                    std::int64_t stride, double* scratch_squared, int* scratch_id,
                                    Deciding in) {
  const int a = in.query_row(uncertified[blockIdx.x]), own = in.queries.own_column(a);
  const int wanted = in.wanted(a);
  const double* mine = squared + blockIdx.x * stride;
  double* found_squared = scratch_squared + static_cast<std::int64_t>(blockIdx.x) * in.k;
  int* found_id = scratch_id + static_cast<std::int64_t>(blockIdx.x) * in.k;
  if (wanted == 0) return;
  const auto bits = [&](std::int64_t c) {
    return static_cast<unsigned long long>(__double_as_longlong(mine[c]));
  };
  const auto nearest = select_largest<unsigned long long>(
      in.n_columns, wanted, [&](std::int64_t c, unsigned long long& key) {
        key = ~bits(c);
        return c != own;
      });
  // Of equal distances those of the smallest ids.
  const unsigned long long last = ~nearest.key;
  const auto tied = select_largest<unsigned>(in.n_columns, wanted - nearest.larger,
                                             [&](std::int64_t c, unsigned& key) {
                                               key = ~static_cast<unsigned>(in.column_id[c]);
                                               return c != own && bits(c) == last;
                                             });
  const int last_id = static_cast<int>(~tied.key);
  __shared__ int found;
  if (threadIdx.x == 0) found = 0;
  __syncthreads();
  for (std::int64_t c = threadIdx.x; c < in.n_columns; c += blockDim.x) {
    if (c == own || bits(c) > last || (bits(c) == last && in.column_id[c] > last_id)) continue;
    const int at = atomicAdd(&found, 1);
    found_squared[at] = mine[c];
    found_id[at] = in.column_id[c];
  }
  __syncthreads();
  for (int i = threadIdx.x; i < wanted; i += blockDim.x) {
    int place = 0;
    for (int other = 0; other < wanted; ++other)
      place += nearer(found_squared[other], found_id[other], found_squared[i], found_id[i]);
    const std::int64_t to = static_cast<std::int64_t>(a) * in.k + place;
    in.nearest_id[to] = found_id[i];
    in.nearest_squared[to] = found_squared[i];
  }
}

}  // namespace ilo::gpu
