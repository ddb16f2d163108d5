// bfloat16 on NEON (FEAT_BF16: Neoverse V1, N2 and later, Apple M2 and later).
// product: BFMMLA multiplies 2 rows x 4 terms by 4 terms x 2 columns onto 2 x 2 float32 entries. 8
// rows x 12 columns of the tile are 24 such entries, in 24 of the 32 registers; 4 more hold the
// pairs of rows, 2 the pairs of columns at hand: 24 multiply-adds for 10 loads a step of four
// terms. A panel holds four terms of rows 2p and 2p + 1 at [step * kPanel / 2 + p], 16 bytes, the
// same for rows and columns. A chunk of 80 steps of it is 15 KiB.
//
// The bound (Arm Architecture Reference Manual, BFMMLA and its BFDotAdd). Four terms of an entry
// are two pairs, one after the other: both products of a pair are summed, then the sum is added to
// the entry. Products of two bfloat16 values are exact in float32. Each of the two additions is
// rounded to odd, unless FPCR.EBF selects the rounding mode of the process; both err by less than a
// unit in the last place, twice a rounding to nearest: (1 + e), |e| < 2 u. So a term meets three
// additions in its own step, two in every later one, with two units each. Between chunks the entry
// rests in the float32 tile, and is added to by an ordinary addition.
// Subnormal products and sums are flushed to zero: at most 2^-126 each, and for d terms there are d
// products, (d + 1) / 2 sums of pairs and as many additions. (Adding zero flushes nothing more:
// entries are zero or normal.)
#include <arm_neon.h>

#include <cmath>
#include <cstring>

#include "knn/kernels/kernels.h"

namespace {
constexpr int kPanel = 24, kPairs = kPanel / 2, kTerms = 4;
constexpr int kRowPairs = 4, kColumnPairs = 6, kSteps = 80;
constexpr int kAhead = 8;  // steps between the fetch of rows and their use
}  // namespace

namespace ilo {

#include "knn/kernels/filter_bf16.inl"
#include "knn/kernels/interleave.inl"
#include "knn/kernels/rows.inl"
#include "knn/kernels/scan_neon.inl"

namespace {

constexpr double kUnderflow = 0x1p-124;

std::int64_t steps_of(std::int64_t d) { return (d + kTerms - 1) / kTerms; }

std::int64_t panel_bytes(std::int64_t d) { return steps_of(d) * kPanel * kTerms * 2; }

void pack_panel(const float* __restrict y, std::int64_t stride, int rows, std::int64_t d,
                std::byte* packed) {
  auto* __restrict out = reinterpret_cast<std::uint32_t*>(packed);
  for (std::int64_t k = 0; k < d; k += kTerms, out += kPanel * 2)
    for (int r = 0; r < kPanel; ++r) {
      float term[kTerms] = {};
      if (r < rows)
        for (int t = 0; t < kTerms && k + t < d; ++t) term[t] = y[r * stride + k + t];
      out[2 * r] = pair(term[0], term[1]);
      out[2 * r + 1] = pair(term[2], term[3]);
    }
}

// Four terms are a unit.
void pack_rows(const void* const* stored, int rows, std::int64_t d, std::byte* packed) {
  interleave<std::uint64_t>(stored, rows, steps_of(d), packed);
}

inline bfloat16x8_t terms_at(const std::uint32_t* p) {
  return vreinterpretq_bf16_u32(vld1q_u32(p));
}

// The rows of two 2 x 2 entries side by side.
inline float32x4_t upper_row(float32x4_t left, float32x4_t right) {
  return vreinterpretq_f32_f64(
      vzip1q_f64(vreinterpretq_f64_f32(left), vreinterpretq_f64_f32(right)));
}
inline float32x4_t lower_row(float32x4_t left, float32x4_t right) {
  return vreinterpretq_f32_f64(
      vzip2q_f64(vreinterpretq_f64_f32(left), vreinterpretq_f64_f32(right)));
}

inline void put(float* at, float32x4_t value, bool first) {
  vst1q_f32(at, first ? value : vaddq_f32(vld1q_f32(at), value));
}

void block(const std::uint32_t* __restrict a, const std::uint32_t* __restrict b, std::int64_t steps,
           bool first, float* __restrict tile, std::int64_t ld) {
  float32x4_t sum[kRowPairs][kColumnPairs];
#pragma GCC unroll 4
  for (int r = 0; r < kRowPairs; ++r)
#pragma GCC unroll 6
    for (int c = 0; c < kColumnPairs; ++c) sum[r][c] = vdupq_n_f32(0);
  for (std::int64_t k = 0; k < steps; ++k, a += kPairs * 4, b += kPairs * 4) {
    __builtin_prefetch(a + kAhead * kPairs * 4);
    bfloat16x8_t rows[kRowPairs];
#pragma GCC unroll 4
    for (int r = 0; r < kRowPairs; ++r) rows[r] = terms_at(a + r * 4);
#pragma GCC unroll 3
    for (int c = 0; c < kColumnPairs; c += 2) {
      const bfloat16x8_t left = terms_at(b + c * 4), right = terms_at(b + c * 4 + 4);
#pragma GCC unroll 4
      for (int r = 0; r < kRowPairs; ++r) {
        sum[r][c] = vbfmmlaq_f32(sum[r][c], rows[r], left);
        sum[r][c + 1] = vbfmmlaq_f32(sum[r][c + 1], rows[r], right);
      }
      // The next columns are not fetched before these are done with: there is no room for them, and
      // the compiler would spill entries.
      asm volatile("" : : : "memory");
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < kRowPairs; ++r)
#pragma GCC unroll 3
    for (int c = 0; c < kColumnPairs; c += 2) {
      float* at = tile + 2 * r * ld + 2 * c;
      put(at, upper_row(sum[r][c], sum[r][c + 1]), first);
      put(at + ld, lower_row(sum[r][c], sum[r][c + 1]), first);
    }
}

void product(const std::byte* a, std::int64_t a_panels, const std::byte* b, std::int64_t b_panels,
             std::int64_t d, float* tile, std::int64_t ld) {
  const std::int64_t stride = panel_bytes(d), n_steps = steps_of(d);
  for (std::int64_t k = 0; k < n_steps; k += kSteps) {
    const std::int64_t steps = n_steps - k < kSteps ? n_steps - k : kSteps;
    for (std::int64_t q = 0; q < b_panels; ++q)
      for (std::int64_t p = 0; p < a_panels; ++p)
        for (int r = 0; r < kPairs; r += kRowPairs)
          for (int c = 0; c < kPairs; c += kColumnPairs)
            block(reinterpret_cast<const std::uint32_t*>(a + p * stride) + (k * kPairs + r) * 4,
                  reinterpret_cast<const std::uint32_t*>(b + q * stride) + (k * kPairs + c) * 4,
                  steps, k == 0, tile + (p * kPanel + 2 * r) * ld + q * kPanel + 2 * c, ld);
  }
}

std::int64_t roundings(std::int64_t d) {
  const std::int64_t n_steps = steps_of(d), chain = n_steps < kSteps ? n_steps : kSteps;
  return 2 * (3 + 2 * (chain - 1)) + (n_steps + kSteps - 1) / kSteps + 1;
}

double peak(std::int64_t steps) {
  constexpr int kChains = 24;  // more than latency times pipelines
  float32x4_t sum[kChains];
  for (int c = 0; c < kChains; ++c) sum[c] = vdupq_n_f32(static_cast<float>(c));
  const bfloat16x8_t one = vreinterpretq_bf16_u32(vdupq_n_u32(0x00003f80));  // (1, 0)
  const bfloat16x8_t tiny = vreinterpretq_bf16_u32(vdupq_n_u32(0x20002000));
  for (std::int64_t s = 0; s < steps; ++s) {
#pragma GCC unroll 24
    for (int c = 0; c < kChains; ++c) sum[c] = vbfmmlaq_f32(sum[c], one, tiny);
  }
  float32x4_t total = sum[0];
  for (int c = 1; c < kChains; ++c) total = vaddq_f32(total, sum[c]);
  volatile float used = vaddvq_f32(total);  // or the optimiser would drop it all
  (void)used;
  return static_cast<double>(steps) * kChains * 4 * 4 * 2;
}

}  // namespace

#include "knn/kernels/table.inl"

const Kernels* kernels_neon_bf16() {
  static constexpr Kernels table = table_of("neon_bf16", kernels_neon);
  return &table;
}

}  // namespace ilo
