// Filter and product in one kernel: the products of a tile of rows and columns stay in the
// registers of the threads that made them, and only what scores above a threshold is written.
//
// A product is one chain of mma instructions, each of which adds 16 terms to the sum so far. A
// tensor core is taken to cut the 17 addends at 24 bits below the largest exponent among them, and
// then the sum: 18 cuts towards zero, each of less than 2^-23 of the largest addend, which is at
// most the sum S of the terms' magnitudes. Terms of zero (beyond d) cost nothing. In all, a product
// is less than ceil(d / 16) * 18 * 2^-23 * S away.
#pragma once

#include "cuda/lists.h"
#include "cuda/tensor_core.h"

namespace ilo::ILO_MACHINE {

namespace fused {

constexpr int kTile = 128;  // rows and columns of a block
constexpr int kStep = 32;   // values of a row at a time
constexpr int kStages = 4;  // steps that are in shared memory at a time, under way but for one
constexpr int kThreads = 256;
constexpr int kChunk = 8;  // values in 16 bytes
constexpr int kChunks = kStep / kChunk;
constexpr int kOperand = kTile * kStep;  // values of an operand in a stage
constexpr int kSharedBytes = kStages * 2 * kOperand * static_cast<int>(sizeof(std::uint16_t));
// A warp makes 64 rows x 32 columns: 2 x 4 warps.
constexpr int kWarpRows = 64, kWarpColumns = 32;
constexpr int kRowParts = kWarpRows / 16, kColumnParts = kWarpColumns / 8;
constexpr int kGroup = 8;  // tiles of columns that blocks share while they walk along the rows

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

__host__ __device__ inline std::int64_t triangle(std::int64_t n) { return n * (n + 1) / 2; }

// The same for tiles on and above the diagonal alone: a group is a rectangle, and a triangle below
// it.
__host__ __device__ inline Tile upper_triangle(std::int64_t block, int tiles) {
  int first = 0;
  while (first + kGroup < tiles && triangle(first + kGroup) <= block) first += kGroup;
  const int width = tiles - first < kGroup ? tiles - first : kGroup;
  const std::int64_t rest = block - triangle(first);
  const std::int64_t above = static_cast<std::int64_t>(first) * width;
  if (rest < above) return {static_cast<int>(rest / width), first + static_cast<int>(rest % width)};
  const int left = static_cast<int>(rest - above);
  int column = 0;
  while (triangle(column + 1) <= left) ++column;
  return {first + left - static_cast<int>(triangle(column)), first + column};
}

// What a tile needs to know of its rows, and of its columns.
struct Vectors {
  float factor[kTile], half[kTile], threshold[kTile];
};

__device__ inline void load_vectors(Vectors& to, int i, const Side& side, int at,
                                    const Lists* lists) {
  const bool valid = at < side.count;
  const float infinity = __uint_as_float(0x7f800000u);
  // Beyond the end: no score is above infinity, and nothing minus infinity is above anything.
  to.factor[i] = valid ? side.factor[at] : 1.0f;
  to.half[i] = valid ? side.half[at] : infinity;
  to.threshold[i] = valid && lists ? lists->threshold[side.first + at] : infinity;
}

// 16 bytes of a row for each of two chunks a thread, of rows `first` to first + kTile - 1.
__device__ inline void copy_step(std::uint16_t* shared, const Side& side, int first,
                                 std::int64_t k) {
  const int thread = static_cast<int>(threadIdx.x);
  ILO_UNROLL
  for (int i = 0; i < kTile * kChunks / kThreads; ++i) {
    const int row = thread / kChunks + i * (kThreads / kChunks), chunk = thread % kChunks;
    const bool valid = first + row < side.count;
    const std::int64_t at = valid ? first + row : 0;
    cp_async_16(shared + swizzled(row, chunk), side.packed + at * side.stride + k + chunk * kChunk,
                valid);
  }
}

// acc[i][j]: rows 16 i and columns 8 j of the warp's part, in the fragments of mma.m16n8k16.
using Sums = float[kRowParts][kColumnParts][4];

__device__ inline void multiply_step(const std::uint16_t* rows, const std::uint16_t* columns,
                                     int warp_row, int warp_column, int lane, Sums& acc) {
  ILO_UNROLL
  for (int k = 0; k < kStep / 16; ++k) {
    unsigned a[kRowParts][4], b[kColumnParts][2];
    ILO_UNROLL
    for (int i = 0; i < kRowParts; ++i)
      ldmatrix_x4(a[i], rows + swizzled(warp_row + i * 16 + lane % 16, k * 2 + lane / 16));
    ILO_UNROLL
    for (int j = 0; j < kColumnParts; j += 2) {
      unsigned r[4];
      ldmatrix_x4(r, columns + swizzled(warp_column + j * 8 + lane / 16 * 8 + lane % 8,
                                        k * 2 + lane / 8 % 2));
      b[j][0] = r[0], b[j][1] = r[1], b[j + 1][0] = r[2], b[j + 1][1] = r[3];
    }
    ILO_UNROLL
    for (int i = 0; i < kRowParts; ++i) {
      ILO_UNROLL
      for (int j = 0; j < kColumnParts; ++j) mma_m16n8k16(acc[i][j], a[i], b[j]);
    }
  }
}

// Whether the column of this number is the row itself; `own` as in fused_filter.
__device__ inline bool is_own(const int* own, int number, int column) {
  return (own ? own[number] : number) == column;
}

template <bool kBoth>
__global__ void __launch_bounds__(kThreads, 2)
    filter(const Side rows, const Side columns, int steps, bool triangular, const Lists row_lists,
           const Lists column_lists, const int* own) {
  __shared__ Vectors of_row, of_column;
  std::uint16_t* const shared = dynamic_shared<std::uint16_t>();
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const int warp_row = warp / 4 * kWarpRows, warp_column = warp % 4 * kWarpColumns;
  const int row_tiles = (rows.count + kTile - 1) / kTile;
  const int column_tiles = (columns.count + kTile - 1) / kTile;
  const Tile tile = triangular ? upper_triangle(blockIdx.x, row_tiles)
                               : rectangle(blockIdx.x, row_tiles, column_tiles);
  const int first_row = tile.row * kTile, first_column = tile.column * kTile;

  // Every turn commits a group, if only an empty one, so that the number to wait for stays.
  const auto copy = [&](int step) {
    if (step < steps) {
      std::uint16_t* const stage = shared + step % kStages * 2 * kOperand;
      const std::int64_t k = static_cast<std::int64_t>(step) * kStep;
      copy_step(stage, rows, first_row, k);
      copy_step(stage + kOperand, columns, first_column, k);
    }
    cp_async_commit();
  };
  ILO_UNROLL
  for (int step = 0; step < kStages - 1; ++step) copy(step);

  if (thread < kTile)
    load_vectors(of_row, thread, rows, first_row + thread, &row_lists);
  else
    load_vectors(of_column, thread - kTile, columns, first_column + thread - kTile,
                 kBoth ? &column_lists : nullptr);

  Sums acc = {};
  for (int step = 0; step < steps; ++step) {
    cp_async_wait<kStages - 2>();
    // This thread's part of the step is there. Now everybody's is, and nobody reads the one before
    // any more, whose place is taken next.
    __syncthreads();
    copy(step + kStages - 1);
    const std::uint16_t* const stage = shared + step % kStages * 2 * kOperand;
    multiply_step(stage, stage + kOperand, warp_row, warp_column, lane, acc);
  }
  __syncthreads();  // for the vectors, where there are no steps

  ILO_UNROLL
  for (int i = 0; i < 2 * kRowParts; ++i) {
    const int r = warp_row + i * 8 + lane / 4;
    const float factor = of_row.factor[r], half = of_row.half[r];
    const float threshold = of_row.threshold[r];
    const int number = rows.first + first_row + r;
    ILO_UNROLL
    for (int j = 0; j < 2 * kColumnParts; ++j) {
      const int c = warp_column + j / 2 * 8 + lane % 4 * 2 + j % 2;
      const int other = columns.first + first_column + c;
      const float sum = acc[i / 2][j / 2][i % 2 * 2 + j % 2];
      const float score = scaled(sum, factor, of_column.factor[c]) - of_column.half[c];
      // Pairs of the same rows are looked at once, from the smaller number.
      if (score > threshold && (triangular ? number < other : !is_own(own, number, other)))
        offer(row_lists, number, other, score);
      if (kBoth) {
        const float back = scaled(sum, of_column.factor[c], factor) - half;
        if (back > of_column.threshold[c] &&
            (triangular ? number < other : !is_own(own, other, number)))
          offer(column_lists, other, number, back);
      }
    }
  }
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
  const std::int64_t row_tiles = (rows.count + kTile - 1) / kTile;
  const std::int64_t column_tiles = (columns.count + kTile - 1) / kTile;
  const bool triangular = both && rows.first == columns.first && rows.count == columns.count;
  const std::int64_t blocks = triangular ? triangle(row_tiles) : row_tiles * column_tiles;
  launch(stream, dim3(static_cast<unsigned>(blocks)), dim3(kThreads), kSharedBytes,
         both ? filter<true> : filter<false>, rows, columns,
         static_cast<int>((d + kStep - 1) / kStep), triangular, row_lists, column_lists, own);
}

}  // namespace ilo::ILO_MACHINE
