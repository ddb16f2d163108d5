// What an instruction set has to provide for the products of transcoders, in float32 and float64.
// The rules of knn/kernels/kernels.h hold: only the translation units that fill this table have -m
// flags, and they share nothing inline with the rest.
//
// Every function gives the same bits on every instruction set: sums are chains of fused
// multiply-adds in one fixed order for each output, vector lanes lie over outputs (features,
// columns), and where a sum runs along a row (`gradients`) it has 16 lanes that are added pairwise.
#pragma once

#include <cstdint>

namespace ilo {

template <class T>
struct SparseKernelsOf {
  int panel;  // features side by side in packed weights
  int rows;   // tokens side by side in packed rows

  // The largest magnitude; infinity or NaN where one is not finite.
  T (*magnitude)(const T* values, std::int64_t n);
  // packed[k][width]: value k of `count` <= width rows, `stride` values apart; the rest is zero.
  void (*pack)(const T* rows, std::int64_t stride, int count, int width, std::int64_t d, T* packed);
  // tile[groups * rows][ld] = bias + x W^T, for each entry bias and then value after value of d.
  // x: groups of packed rows; w: panels of packed weights.
  void (*product)(const T* x, std::int64_t groups, const T* w, std::int64_t panels, const T* bias,
                  std::int64_t d, T* tile, std::int64_t ld);

  // Of a row of n values (n a multiple of `panel`), those at least `least`, or above thresholds of
  // their own: the values, and first + their columns, in order. Returns how many.
  std::int64_t (*at_least)(const T* row, std::int64_t n, T least, std::int32_t first, T* values,
                           std::int32_t* columns);
  std::int64_t (*above)(const T* row, std::int64_t n, const T* thresholds, std::int32_t first,
                        T* values, std::int32_t* columns);
  // The largest t it finds for which at least k of the values are >= t > 0: the k-th largest itself
  // unless `slack` lets it stop earlier, with up to k + slack of them. 0 where fewer are positive.
  // `guess` (0: none) is where to begin.
  T (*kth_largest)(const T* values, std::int64_t n, std::int64_t k, std::int64_t slack, T guess);

  // Of features with the decoder rows weight[f * weight_stride], c < width <= `piece`, and entries
  // offsets[f] to offsets[f + 1] each: slice[tokens[e] * piece + c] += factors[e] * row[c], feature
  // after feature.
  int piece;
  void (*scatter)(const T* weight, std::int64_t weight_stride, std::int64_t features,
                  const std::int64_t* offsets, const std::int32_t* tokens, const T* factors,
                  std::int64_t width, T* slice);
  // out[c] += the sum of factors[i] * rows[i][c], row after row.
  void (*accumulate)(const T* const* rows, const T* factors, std::int64_t count, std::int64_t width,
                     T* out);
  // Of one feature with the decoder row `weight` and its `count` entries: dots[i] = <weight,
  // rows[i]>, and sum[c] = the sum of factors[i] * rows[i][c], row after row. weight and dots, or
  // sum, may be null. rows holds `listed` >= count, those that are used next.
  void (*gradients)(const T* const* rows, const T* factors, std::int64_t count, std::int64_t listed,
                    std::int64_t width, const T* weight, T* dots, T* sum);
};

struct SparseKernels {
  const char* name;
  SparseKernelsOf<float> f32;
  SparseKernelsOf<double> f64;
};

const SparseKernels* sparse_kernels_scalar();
#if defined(ILO_X86_KERNELS)
const SparseKernels* sparse_kernels_avx2();
const SparseKernels* sparse_kernels_avx512();
#endif
#if defined(ILO_ARM_KERNELS)
const SparseKernels* sparse_kernels_neon();
#endif

}  // namespace ilo
