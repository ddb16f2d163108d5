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

// What rounding left of a row: sums of squares of z = scale * (u - centre) in float64, of y, which
// is z in the filter's precision, and of z - y.
struct RowSquares {
  double source, rounded, residual;
};

struct Kernels {
  const char* name;

  // ---- the filter: products of packed rows

  // Rows of a packed panel, and its bytes (a multiple of 64).
  int panel;
  std::int64_t (*panel_bytes)(std::int64_t d);
  // y = z in the filter's precision, as float32.
  RowSquares (*round_row)(const double* u, const double* centre, double scale, std::int64_t d,
                          float* y);
  // `rows` <= panel rows y, `stride` values apart, into the layout of the product; the rest is
  // zero.
  void (*pack_panel)(const float* y, std::int64_t stride, int rows, std::int64_t d,
                     std::byte* packed);
  // The same from rows as they rest in memory, each at a multiple of 64 bytes and filled up with
  // zeros to one: values in the filter's own precision, bfloat16 or float32, one after the other.
  void (*pack_rows)(const void* const* stored, int rows, std::int64_t d, std::byte* packed);
  // tile[a_panels * panel][ld] = A Bᵀ in float32; every entry is the same value wherever in a block
  // it stands.
  void (*product)(const std::byte* a, std::int64_t a_panels, const std::byte* b,
                  std::int64_t b_panels, std::int64_t d, float* tile, std::int64_t ld);
  // For the error bound: roundings that a term of a product of d terms meets at most, on its way
  // into the tile, and what a term may lose to underflow.
  std::int64_t (*roundings)(std::int64_t d);
  double underflow;
  // The float32 filter of the fallback, for rows that this one leaves uncertified; null if this is
  // it.
  const Kernels* (*fallback)();

  // ---- hits in a row of a tile; n is a multiple of `panel`

  // Columns j with c[j] - half[j] > threshold.
  std::int64_t (*scan_row)(const float* c, const float* half, float threshold, std::int64_t n,
                           Hit* hits);
  // The same, and the row seen from its columns: j with c[j] - own_half > thresholds[j].
  void (*scan_both)(const float* c, const float* half, float threshold, float own_half,
                    const float* thresholds, std::int64_t n, Hit* row_hits, std::int64_t* n_row,
                    Hit* column_hits, std::int64_t* n_column);

  // ---- rows in float64

  // out[k] = (value of column k) * multiplier / divisor in float64. dtype as in DType; col_stride
  // in bytes; divisor 1 skips the division.
  void (*load_row)(const void* row, int dtype, std::ptrdiff_t col_stride, std::int64_t d,
                   double multiplier, double divisor, double* out);
  // Squared Euclidean distance, and sum of squares: in 16 strided partial sums added pairwise, with
  // every operation rounded by itself, so that the bits are the same for every instruction set and
  // for (x, y) and (y, x).
  double (*squared_distance)(const double* x, const double* y, std::int64_t d);
  double (*sum_of_squares)(const double* x, std::int64_t d);
  // squared_distance(x, y) for the y that load_row() makes of a row; y: scratch for kPiece values.
  // Meanwhile fetches `next`, another such row, or none, into the cache.
  static constexpr std::int64_t kPiece = 256;
  double (*squared_distance_to)(const double* x, const void* row, int dtype,
                                std::ptrdiff_t col_stride, std::int64_t d, double multiplier,
                                double divisor, const void* next, double* y);
  bool (*all_finite)(const double* u, std::int64_t d);
  // Equal for equal rows (-0 equals 0), on every instruction set.
  std::uint64_t (*hash_row)(const double* u, std::int64_t d);
  // sum[k] += u[k].
  void (*accumulate)(const double* u, std::int64_t d, double* sum);

  // ---- for benchmarks

  // The filter's multiply-adds on registers alone, `steps` times; returns how many floating-point
  // operations that were: what is called this processor's peak at this instruction set.
  double (*peak)(std::int64_t steps);
};

const Kernels* kernels_scalar();
#if defined(ILO_X86_KERNELS)
const Kernels* kernels_avx2();
const Kernels* kernels_avx512();
const Kernels* kernels_avx512_bf16();
const Kernels* kernels_amx_bf16();
#endif
#if defined(ILO_ARM_KERNELS)
const Kernels* kernels_neon();
const Kernels* kernels_neon_bf16();
#endif

}  // namespace ilo
