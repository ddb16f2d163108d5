// Filter and product in one kernel: the products of a tile of rows and columns stay in the
// registers of the threads that made them, and only what scores above a threshold is written.
//
// A product is one chain of mma instructions, each of which adds 16 terms to the sum so far. A
// tensor core is taken to cut the 17 addends at 24 bits below the largest exponent among them, and
// then the sum: 18 cuts towards zero, each of less than 2^-23 of the largest addend, which is at
// most the sum S of the terms' magnitudes. Terms of zero (beyond d) cost nothing. In all, a product
// is less than ceil(d / 16) * 18 * 2^-23 * S away.
#pragma once

#include <cmath>

#include "cuda/kernels/intrinsics.h"
#include "cuda/kernels/lists.h"

namespace ilo::gpu {

namespace fused {

// A warp makes 64 rows x 64 columns, which is as much as registers hold: what bounds smaller parts
// is how fast shared memory delivers their operands. A block is 2 x 4 warps, and alone on its SM.
constexpr int kRows = 128, kColumns = 256;
constexpr int kThreads = 256;
constexpr int kWarpRows = 64, kWarpColumns = 64;
constexpr int kRowParts = kWarpRows / 16, kColumnParts = kWarpColumns / 8;
constexpr int kStep = 32;   // values of a row at a time: two mma
constexpr int kStages = 3;  // steps that are in shared memory at a time, under way but for one
constexpr int kChunk = 8;   // values in 16 bytes
constexpr int kChunks = kStep / kChunk;
constexpr int kStage = (kRows + kColumns) * kStep;  // values
// With `Vectors`, within the 99 KiB of every GPU since sm_80.
constexpr int kSharedBytes = kStages * kStage * static_cast<int>(sizeof(std::uint16_t));
constexpr int kGroup = 8;  // tiles of columns that blocks share while they walk along the rows
static_assert(kColumns == 2 * kRows && kStep == 2 * 16);

// Where a chunk of a row lies in a stage, in values: eight rows' chunks of the same number lie in
// different banks, and so do the chunks that eight threads in a row write.
__device__ inline int swizzled(int row, int chunk) {
  return row * kStep + (chunk ^ (row >> 1 & 3)) * kChunk;
}

struct Tile {
  int row, column;
};

// Blocks that run together share rows and columns, for the sake of the L2 cache. Groups of kGroup
// tiles of columns, in each of which the column's tile changes fastest.
__host__ __device__ inline Tile rectangle(std::int64_t block, int row_tiles, int column_tiles) {
  const std::int64_t size = static_cast<std::int64_t>(row_tiles) * kGroup;
  const int group = static_cast<int>(block / size), first = group * kGroup;
  const int width = column_tiles - first < kGroup ? column_tiles - first : kGroup;
  const std::int64_t rest = block - group * size;
  return {static_cast<int>(rest / width), first + static_cast<int>(rest % width)};
}

// Tiles of the first n columns of tiles that do not lie below the diagonal: column c has 2 c + 2,
// but for the last, which may end a row of tiles earlier.
__host__ __device__ inline std::int64_t stairs(std::int64_t n) { return n * (n + 1); }
__host__ __device__ inline std::int64_t all_stairs(std::int64_t row_tiles,
                                                   std::int64_t column_tiles) {
  return stairs(column_tiles - 1) + row_tiles;
}

// The same for these alone: a group is a rectangle, and stairs below it.
__host__ __device__ inline Tile upper_triangle(std::int64_t block, int column_tiles) {
  int first = 0;
  while (first + kGroup < column_tiles && stairs(first + kGroup) <= block) first += kGroup;
  const int width = column_tiles - first < kGroup ? column_tiles - first : kGroup;
  const std::int64_t rest = block - stairs(first);
  const std::int64_t above = static_cast<std::int64_t>(2 * first) * width;
  if (rest < above) return {static_cast<int>(rest / width), first + static_cast<int>(rest % width)};
  const int left = static_cast<int>(rest - above);
  int column = 0;
  while (stairs(column + 1) <= left) ++column;
  return {2 * first + left - static_cast<int>(stairs(column)), first + column};
}

// What a tile needs to know of its rows, and of its columns.
template <int kCount>
struct alignas(16) Vectors {
  float factor[kCount], half[kCount], threshold[kCount];
};

template <int kCount>
__device__ inline void load_vectors(Vectors<kCount>& to, const Side& side, int first,
                                    const Lists* lists) {
  const float infinity = __uint_as_float(0x7f800000u);
  for (int i = static_cast<int>(threadIdx.x); i < kCount; i += kThreads) {
    const int at = first + i;
    const bool valid = at < side.count;
    // Beyond the end: no score is above infinity, and nothing minus infinity is above anything.
    to.factor[i] = valid ? side.factor[at] : 1.0f;
    to.half[i] = valid ? side.half[at] : infinity;
    to.threshold[i] = valid && lists ? lists->threshold[side.first + at] : infinity;
  }
}

// What a thread copies of kCount rows: one chunk of each of kParts, 16 bytes a step.
template <int kCount>
struct Copier {
  static constexpr int kApart = kThreads / kChunks, kParts = kCount / kApart;
  const std::uint16_t* from;
  unsigned offset[kParts];  // in chunks
  int to;

  __device__ Copier(const Side& side, int first)
      : from(side.packed + first * side.stride),
        to(swizzled(static_cast<int>(threadIdx.x) / kChunks,
                    static_cast<int>(threadIdx.x) % kChunks)) {
    const int thread = static_cast<int>(threadIdx.x), last = side.count - 1 - first;
#pragma unroll
    for (int i = 0; i < kParts; ++i) {
      // Beyond the end: the last row again. See load_vectors().
      const int wanted = thread / kChunks + i * kApart, row = wanted < last ? wanted : last;
      offset[i] = static_cast<unsigned>(row * (side.stride / kChunk) + thread % kChunks);
    }
  }
  __device__ void copy(std::uint16_t* shared) {
#pragma unroll
    for (int i = 0; i < kParts; ++i)
      cp_async_16(shared + to + i * kApart * kStep,
                  from + static_cast<std::size_t>(offset[i]) * kChunk);
    from += kStep;
  }
};

// acc[i][j]: rows 16 i and columns 8 j of the warp's part, in the fragments of mma.m16n8k16.
using Sums = float[kRowParts][kColumnParts][4];

// The operands of 16 values of a warp's rows and columns.
struct Fragments {
  unsigned a[kRowParts][4], b[kColumnParts][2];

  __device__ void load(const std::uint16_t* stage, int half, int warp_row, int warp_column,
                       int lane) {
    const int row = warp_row + lane % 16, column = warp_column + lane / 16 * 8 + lane % 8;
    const std::uint16_t* const rows = stage + swizzled(row, half * 2 + lane / 16);
    const std::uint16_t* const columns =
        stage + kRows * kStep + swizzled(column, half * 2 + lane / 8 % 2);
#pragma unroll
    for (int i = 0; i < kRowParts; ++i) ldmatrix_x4(a[i], rows + i * 16 * kStep);
#pragma unroll
    for (int j = 0; j < kColumnParts; j += 2) {
      unsigned r[4];
      ldmatrix_x4(r, columns + j * 8 * kStep);
      b[j][0] = r[0], b[j][1] = r[1], b[j + 1][0] = r[2], b[j + 1][1] = r[3];
    }
  }
  __device__ void multiply(Sums& acc) const {
#pragma unroll
    for (int i = 0; i < kRowParts; ++i) {
#pragma unroll
      for (int j = 0; j < kColumnParts; ++j) mma_m16n8k16(acc[i][j], a[i], b[j]);
    }
  }
};

// Whether the column of this number is the row itself; `own` as in fused_filter.
__device__ inline bool is_own(const int* own, int number, int column) {
  return (own ? own[number] : number) == column;
}

// A pair that scored above a threshold, on its way to a list.
struct alignas(16) Found {
  int row, column, back;
  float score;
};
// Where these wait, after the last product, and the sums of a group of columns that a thread looks
// at more closely.
constexpr int kSumsOfGroup = 4 * kRowParts;
static_assert(2 * kSumsOfGroup <= 32);  // bits that say which of them passed, for either list
constexpr int kSumsBytes = kThreads * kSumsOfGroup * static_cast<int>(sizeof(float));
constexpr int kFound = (kSharedBytes - kSumsBytes) / static_cast<int>(sizeof(Found));

// sum * factor_i * factor_j - half, rounded once but for underflow.
__device__ inline float scored(float sum, float factor_i, float factor_j, float half) {
  return fmaf(sum * factor_i, factor_j, -half);
}

template <bool kBoth>
__global__ void __launch_bounds__(kThreads, 1)
    filter(const Side rows, const Side columns, int steps, bool triangular, const Lists row_lists,
           const Lists column_lists, const int* own) {
  __shared__ Vectors<kRows> of_row;
  __shared__ Vectors<kColumns> of_column;
  __shared__ int found_count;
  std::uint16_t* const shared = dynamic_shared<std::uint16_t>();
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const int warp_row = warp / 4 * kWarpRows, warp_column = warp % 4 * kWarpColumns;
  const int row_tiles = (rows.count + kRows - 1) / kRows;
  const int column_tiles = (columns.count + kColumns - 1) / kColumns;
  const Tile tile = triangular ? upper_triangle(blockIdx.x, column_tiles)
                               : rectangle(blockIdx.x, row_tiles, column_tiles);
  const int first_row = tile.row * kRows, first_column = tile.column * kColumns;

  Copier<kRows> row_copier(rows, first_row);
  Copier<kColumns> column_copier(columns, first_column);
  // Every turn commits a group, if only an empty one, so that the number to wait for stays.
  const auto copy = [&](int step, std::uint16_t* stage) {
    if (step < steps) {
      row_copier.copy(stage);
      column_copier.copy(stage + kRows * kStep);
    }
    cp_async_commit();
  };
#pragma unroll
  for (int step = 0; step < kStages; ++step) copy(step, shared + step * kStage);

  load_vectors(of_row, rows, first_row, &row_lists);
  load_vectors(of_column, columns, first_column, kBoth ? &column_lists : nullptr);
  if (thread == 0) found_count = 0;

  // Fragments are loaded while those before them are multiplied.
  Sums acc = {};
  Fragments even, odd;
  cp_async_wait<kStages - 1>();
  __syncthreads();
  even.load(shared, 0, warp_row, warp_column, lane);
  int at = 0;
  for (int step = 0; step < steps; ++step) {
    std::uint16_t* const stage = shared + at * kStage;
    odd.load(stage, 1, warp_row, warp_column, lane);
    even.multiply(acc);
    cp_async_wait<kStages - 2>();
    // This thread's part of the next step is there. Now everybody's is, and everybody has read this
    // one, whose place is taken.
    __syncthreads();
    copy(step + kStages, stage);
    at = at + 1 < kStages ? at + 1 : 0;
    // After the last step, whatever lies there, for nothing.
    even.load(shared + at * kStage, 0, warp_row, warp_column, lane);
    odd.multiply(acc);
  }
  __syncthreads();  // shared memory is for something else now

  auto* const sums = reinterpret_cast<float*>(shared);
  auto* const found = reinterpret_cast<Found*>(sums + kThreads * kSumsOfGroup);
  const auto tell = [&](const Found& f) {
    if (kBoth && f.back)
      offer(column_lists, f.row, f.column, f.score);
    else
      offer(row_lists, f.row, f.column, f.score);
  };
  const int my_row = warp_row + lane / 4, my_column = warp_column + lane % 4 * 2;
#pragma unroll
  for (int j = 0; j < kColumnParts; ++j) {
    // Sum e of the group: row e / 2 of the thread's, column e % 2.
    const auto row = [&](int e) { return my_row + e / 2 * 8; };
    const auto column = [&](int e) { return my_column + j * 8 + e % 2; };
    const auto sum = [&](int e) { return acc[e / 4][j][e % 4]; };
    const auto score = [&](int e) {
      return scored(sum(e), of_row.factor[row(e)], of_column.factor[column(e)],
                    of_column.half[column(e)]);
    };
    const auto score_back = [&](int e) {
      return scored(sum(e), of_row.factor[row(e)], of_column.factor[column(e)],
                    of_row.half[row(e)]);
    };
    // Mostly none passes: one comparison for a row's largest, and one for a column's.
    bool any = false;
    float largest[2] = {score_back(0), score_back(1)};
#pragma unroll
    for (int e = 0; e < kSumsOfGroup; e += 2) {
      any |= fmaxf(score(e), score(e + 1)) > of_row.threshold[row(e)];
      largest[0] = fmaxf(largest[0], score_back(e));
      largest[1] = fmaxf(largest[1], score_back(e + 1));
    }
    if (kBoth) {
      any |= largest[0] > of_column.threshold[column(0)];
      any |= largest[1] > of_column.threshold[column(1)];
    }
    if (!any) continue;

    unsigned left = 0;
#pragma unroll
    for (int e = 0; e < kSumsOfGroup; ++e) {
      sums[e * kThreads + thread] = sum(e);
      if (score(e) > of_row.threshold[row(e)]) left |= 1u << e;
      if (kBoth && score_back(e) > of_column.threshold[column(e)]) left |= 1u << (kSumsOfGroup + e);
    }
    for (; left; left &= left - 1) {
      const int bit = __ffs(static_cast<int>(left)) - 1, e = bit % kSumsOfGroup;
      const bool back = kBoth && bit >= kSumsOfGroup;
      const int r = row(e), c = column(e);
      const int number = rows.first + first_row + r, other = columns.first + first_column + c;
      // Pairs of the same rows are looked at once, from the smaller number.
      if (triangular ? number >= other : is_own(own, back ? other : number, back ? number : other))
        continue;
      Found f{number, other, 0, 0};
      if (back) f = {other, number, 1, 0};
      f.score = scored(sums[e * kThreads + thread], of_row.factor[r], of_column.factor[c],
                       back ? of_row.half[r] : of_column.half[c]);
      const int place = atomicAdd(&found_count, 1);
      if (place < kFound)
        found[place] = f;
      else
        tell(f);
    }
  }
  // An offer waits for the device's memory; together, they wait at once.
  __syncthreads();
  const int count = found_count < kFound ? found_count : kFound;
  for (int i = thread; i < count; i += kThreads) tell(found[i]);
}

}  // namespace fused

// Offers every pair of a row and a column that scores above a threshold, once: to the row's list,
// and, if `both`, to the column's. If both, and the rows are the columns, it is pairs of two
// different rows; otherwise own[row's number] is the number of the column that is the row itself,
// -1 if there is none; without `own`, the row's number.
inline void fused_filter(cudaStream_t stream, const Side& rows, const Side& columns, std::int64_t d,
                         bool both, const Lists& row_lists, const Lists& column_lists,
                         const int* own) {
  using namespace fused;
  const std::int64_t row_tiles = (rows.count + kRows - 1) / kRows;
  const std::int64_t column_tiles = (columns.count + kColumns - 1) / kColumns;
  const bool triangular = both && rows.first == columns.first && rows.count == columns.count;
  const std::int64_t blocks =
      triangular ? all_stairs(row_tiles, column_tiles) : row_tiles * column_tiles;
  launch(stream, dim3(static_cast<unsigned>(blocks)), dim3(kThreads), kSharedBytes,
         both ? filter<true> : filter<false>, rows, columns,
         static_cast<int>((d + kStep - 1) / kStep), triangular, row_lists, column_lists, own);
}

}  // namespace ilo::gpu
