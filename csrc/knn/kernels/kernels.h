// What an instruction set has to provide. One translation unit each fills this table; only those
// files are compiled with -m flags, and they share no inline function with the rest: a linker that
// keeps one copy of an inline function might keep the one with instructions that this processor
// lacks.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ilo {

struct Hit {
  float score;
  std::int32_t column;
};

struct Kernels {
  const char* name;

  // Packed layout: panels of `panel` rows, within a panel column-major: value k of row r lies at
  // [k * panel + r]. Missing rows are zero.
  int panel;
  // Terms of a product summed in one register chain before they are added to the tile, and
  // roundings a term meets in it (1 with fused multiply-add): both enter the error bound.
  int depth;
  int roundings_per_term;

  // tile[a_panels * panel][ld] = A Bᵀ in float32. Every entry is the sum, in order, of chains of
  // `depth` terms: the same value wherever in a block it stands.
  void (*product)(const float* a, std::int64_t a_panels, const float* b, std::int64_t b_panels,
                  std::int64_t d, float* tile, std::int64_t ld);

  // Hits of one row of a tile: columns j with c[j] - half[j] > threshold. n is a multiple of
  // `panel`.
  std::int64_t (*scan_row)(const float* c, const float* half, float threshold, std::int64_t n,
                           Hit* hits);
  // The same row seen from its columns: j with c[j] - half > thresholds[j].
  std::int64_t (*scan_columns)(const float* c, float half, const float* thresholds, std::int64_t n,
                               Hit* hits);

  // out[k] = (value of column k) * multiplier / divisor in float64. Returns false if one is NaN or
  // infinite. dtype as in DType; col_stride in bytes; divisor 1 skips the division.
  bool (*load_row)(const void* row, int dtype, std::ptrdiff_t col_stride, std::int64_t d,
                   double multiplier, double divisor, double* out);

  // Squared Euclidean distance, and sum of squares: in 16 strided partial sums added pairwise, with
  // every operation rounded by itself, so that the bits are the same for every instruction set and
  // for (x, y) and (y, x).
  double (*squared_distance)(const double* x, const double* y, std::int64_t d);
  double (*sum_of_squares)(const double* x, std::int64_t d);

  // y[k * stride] = float32 of scale * (u[k] - centre[k]). Returns the squared norms of y and of
  // what rounding to float32 took away, and of the float64 vector that was rounded.
  void (*centre_row)(const double* u, const double* centre, double scale, std::int64_t d, float* y,
                     std::int64_t stride, double* norm2, double* residual2, double* source2);

  // Multiply-adds on registers alone, `steps` times; returns how many floating-point operations
  // that were. What benchmarks and `doctor` call this processor's float32 peak at this instruction
  // set.
  double (*peak)(std::int64_t steps);
};

const Kernels* kernels_scalar();
#if defined(ILO_X86_KERNELS)
const Kernels* kernels_avx2();
const Kernels* kernels_avx512();
#endif

}  // namespace ilo
