// The functions of kernels.h, written once over the vectors of a translation unit and compiled
// anew, in an anonymous namespace, by each.
//
// product: kRows tokens x kVectors vectors of features of the tile in registers. A panel of packed
// weights, or as many of its d values as fit the first-level cache, stays there while the packed
// tokens pass by; sums go on where they stopped, so that the blocking changes no bit.
//
// Needs before inclusion: kernels.h, <cstring>, kRows, kVectors, and Vec<T> with kLanes, type,
// zero, load, store, broadcast, fma, and the bit masks at_least and above.

namespace {

constexpr int kPanelBytes = 24 << 10;

template <class T>
constexpr int kPanel = kVectors * Vec<T>::kLanes;

template <class T>
struct BitsOf;
template <>
struct BitsOf<float> {
  using type = std::int32_t;
};
template <>
struct BitsOf<double> {
  using type = std::int64_t;
};
template <class T>
using Bits = typename BitsOf<T>::type;

// Of numbers that are not negative, bits have the same order.
template <class T>
inline Bits<T> bits_of(T value) {
  Bits<T> bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

template <class T>
inline T from_bits(Bits<T> bits) {
  T value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline float fused(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline double fused(double a, double b, double c) { return __builtin_fma(a, b, c); }

template <class T>
T magnitude(const T* values, std::int64_t n) {
  constexpr Bits<T> kNotSign =
      sizeof(T) == 4 ? static_cast<Bits<T>>(0x7fffffff) : static_cast<Bits<T>>(0x7fffffffffffffff);
  Bits<T> most = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    Bits<T> bits;
    std::memcpy(&bits, values + i, sizeof bits);
    bits &= kNotSign;
    most = bits > most ? bits : most;
  }
  return from_bits<T>(most);
}

template <class T>
void pack(const T* rows, std::int64_t stride, int count, int width, std::int64_t d, T* packed) {
  for (std::int64_t k = 0; k < d; ++k, packed += width) {
    for (int r = 0; r < count; ++r) packed[r] = rows[r * stride + k];
    for (int r = count; r < width; ++r) packed[r] = 0;
  }
}

template <class T>
inline void micro(const T* __restrict x, const T* __restrict w, const T* start,
                  std::int64_t start_ld, std::int64_t depth, T* tile, std::int64_t ld) {
  using V = Vec<T>;
  typename V::type sum[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 3
    for (int c = 0; c < kVectors; ++c) sum[r][c] = V::load(start + r * start_ld + c * V::kLanes);
  for (std::int64_t k = 0; k < depth; ++k, x += kRows, w += kPanel<T>) {
    typename V::type column[kVectors];
#pragma GCC unroll 3
    for (int c = 0; c < kVectors; ++c) column[c] = V::load(w + c * V::kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const typename V::type value = V::broadcast(x + r);
#pragma GCC unroll 3
      for (int c = 0; c < kVectors; ++c) sum[r][c] = V::fma(value, column[c], sum[r][c]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 3
    for (int c = 0; c < kVectors; ++c) V::store(tile + r * ld + c * V::kLanes, sum[r][c]);
}

template <class T>
void product(const T* x, std::int64_t groups, const T* w, std::int64_t panels, const T* bias,
             std::int64_t d, T* tile, std::int64_t ld) {
  constexpr std::int64_t kDepth = kPanelBytes / (kPanel<T> * static_cast<int>(sizeof(T)));
  for (std::int64_t k = 0; k == 0 || k < d; k += kDepth) {
    const std::int64_t depth = d - k < kDepth ? d - k : kDepth;
    const std::int64_t share = (depth * kPanel<T> * static_cast<int>(sizeof(T)) / 64) / groups + 1;
    for (std::int64_t q = 0; q < panels; ++q) {
      // The next panel, which the groups fetch a share each.
      const char* next = reinterpret_cast<const char*>(w + ((q + 1) * d + k) * kPanel<T>);
      for (std::int64_t p = 0; p < groups; ++p) {
        for (std::int64_t line = 0; line < share; ++line, next += 64)
          __builtin_prefetch(next, 0, 2);
        T* const at = tile + p * kRows * ld + q * kPanel<T>;
        micro(x + (p * d + k) * kRows, w + (q * d + k) * kPanel<T>,
              k == 0 ? bias + q * kPanel<T> : at, k == 0 ? 0 : ld, depth, at, ld);
      }
    }
  }
}

// Bits of 64 columns first, then the columns: what branches is the number of hits alone.
template <class T, class Mask>
inline std::int64_t take(const T* row, std::int64_t n, std::int32_t first, T* values,
                         std::int32_t* columns, const Mask& mask) {
  constexpr int kLanes = Vec<T>::kLanes;
  std::int64_t count = 0;
  for (std::int64_t start = 0; start < n; start += 64) {
    const std::int64_t end = start + 64 < n ? start + 64 : n;
    std::uint64_t bits = 0;
    for (std::int64_t j = start; j < end; j += kLanes)
      bits |= static_cast<std::uint64_t>(mask(j)) << (j - start);
    for (; bits; bits &= bits - 1, ++count) {
      const std::int64_t column = start + __builtin_ctzll(bits);
      values[count] = row[column];
      columns[count] = first + static_cast<std::int32_t>(column);
    }
  }
  return count;
}

template <class T>
std::int64_t at_least(const T* row, std::int64_t n, T least, std::int32_t first, T* values,
                      std::int32_t* columns) {
  using V = Vec<T>;
  const typename V::type limit = V::broadcast(&least);
  return take(row, n, first, values, columns,
              [&](std::int64_t j) { return V::at_least(V::load(row + j), limit); });
}

template <class T>
std::int64_t above(const T* row, std::int64_t n, const T* thresholds, std::int32_t first, T* values,
                   std::int32_t* columns) {
  using V = Vec<T>;
  return take(row, n, first, values, columns,
              [&](std::int64_t j) { return V::above(V::load(row + j), V::load(thresholds + j)); });
}

template <class T>
inline std::int64_t count_at_least(const T* values, std::int64_t n, T least) {
  Bits<T> count = 0;
  for (std::int64_t i = 0; i < n; ++i) count += values[i] >= least;
  return count;
}

// Steps down from the largest value, or up or down from the guess, each twice as far, until the
// answer lies between; then halves the interval: over the bits, so that it ends soon whatever the
// values are.
template <class T>
T kth_largest(const T* values, std::int64_t n, std::int64_t k, std::int64_t slack, T guess) {
  constexpr int kFraction = sizeof(T) == 4 ? 23 : 52;
  T largest = 0;
  for (std::int64_t i = 0; i < n; ++i) largest = values[i] > largest ? values[i] : largest;
  const bool guessed = guess > 0 && guess < largest;
  Bits<T> low = 0, high = bits_of(largest);  // k are >= low unless it is 0; the answer is <= high
  Bits<T> step = Bits<T>{1} << (guessed ? kFraction - 4 : kFraction - 1);
  Bits<T> at = guessed ? bits_of(guess) : high > step ? high - step : high;
  bool less = false;  // whether high is known from a count
  while (low < high) {
    const std::int64_t count = count_at_least(values, n, from_bits<T>(at));
    if (count >= k) {
      low = at;
      if (count <= k + slack) break;
    } else {
      high = at - 1;
      less = true;
    }
    if (low > 0 && less) {
      at = low + (high - low + 1) / 2;
    } else {
      if (low > 0)
        at = high - low > step ? low + step : high;
      else
        at = high > step ? high - step : 1;
      if (step < Bits<T>{1} << (sizeof(T) * 8 - 3)) step *= 2;
    }
  }
  return from_bits<T>(low);
}

// A piece of a decoder row is as many vectors as stay in registers while its entries pass by.
template <class T>
constexpr int kPiece = 8 * Vec<T>::kLanes;
constexpr std::int64_t kFeaturesAhead = 12;

template <class T>
void scatter(const T* weight, std::int64_t weight_stride, std::int64_t features,
             const std::int64_t* offsets, const std::int32_t* tokens, const T* factors,
             std::int64_t width, T* slice) {
  using V = Vec<T>;
  constexpr std::int64_t kLine = 64 / sizeof(T);
  for (std::int64_t f = 0; f < features; ++f, weight += weight_stride) {
    if (f + kFeaturesAhead < features)
      for (std::int64_t c = 0; c < width; c += kLine)
        __builtin_prefetch(weight + kFeaturesAhead * weight_stride + c);
    const std::int64_t end = offsets[f + 1];
    if (offsets[f] == end) continue;
    if (width == kPiece<T>) {
      typename V::type row[8];
#pragma GCC unroll 8
      for (int v = 0; v < 8; ++v) row[v] = V::load(weight + v * V::kLanes);
      for (std::int64_t e = offsets[f]; e < end; ++e) {
        T* const out = slice + tokens[e] * std::int64_t{kPiece<T>};
        const typename V::type factor = V::broadcast(factors + e);
#pragma GCC unroll 8
        for (int v = 0; v < 8; ++v)
          V::store(out + v * V::kLanes, V::fma(factor, row[v], V::load(out + v * V::kLanes)));
      }
      continue;
    }
    for (std::int64_t e = offsets[f]; e < end; ++e) {
      T* const out = slice + tokens[e] * std::int64_t{kPiece<T>};
      const typename V::type factor = V::broadcast(factors + e);
      std::int64_t c = 0;
      for (; c + V::kLanes <= width; c += V::kLanes)
        V::store(out + c, V::fma(factor, V::load(weight + c), V::load(out + c)));
      for (; c < width; ++c) out[c] = fused(factors[e], weight[c], out[c]);
    }
  }
}

template <int kCount, class T>
inline void accumulate_rows(const T* const* rows, const T* factors, std::int64_t width, T* out) {
  using V = Vec<T>;
  typename V::type factor[kCount];
#pragma GCC unroll 4
  for (int i = 0; i < kCount; ++i) factor[i] = V::broadcast(factors + i);
  std::int64_t c = 0;
  for (; c + V::kLanes <= width; c += V::kLanes) {
    typename V::type sum = V::load(out + c);
#pragma GCC unroll 4
    for (int i = 0; i < kCount; ++i) sum = V::fma(factor[i], V::load(rows[i] + c), sum);
    V::store(out + c, sum);
  }
  for (; c < width; ++c)
    for (int i = 0; i < kCount; ++i) out[c] = fused(factors[i], rows[i][c], out[c]);
}

// Into the second-level cache: some rows together are more than the first holds.
template <class T>
inline void fetch(const T* row, std::int64_t width) {
  constexpr std::int64_t kLine = 64 / sizeof(T);
  for (std::int64_t c = 0; c < width; c += kLine) __builtin_prefetch(row + c, 0, 2);
}

template <class T>
void accumulate(const T* const* rows, const T* factors, std::int64_t count, std::int64_t width,
                T* out) {
  std::int64_t i = 0;
  for (; i + 4 <= count; i += 4) {
    for (std::int64_t next = i + 4; next < count && next < i + 8; ++next) fetch(rows[next], width);
    accumulate_rows<4>(rows + i, factors + i, width, out);
  }
  for (; i < count; ++i) accumulate_rows<1>(rows + i, factors + i, width, out);
}

constexpr int kDotLanes = 16;

template <int kEntries>
struct Group {
  static constexpr int kCount = kEntries;
};

template <int kCount, bool kDots, bool kSum, class T>
inline void gradients_of(const T* const* rows, const T* factors, std::int64_t width,
                         const T* weight, T* dots, T* sum, bool fresh) {
  using V = Vec<T>;
  constexpr int kParts = kDotLanes / V::kLanes;
  typename V::type factor[kCount], dot[kCount][kParts];
#pragma GCC unroll 4
  for (int i = 0; i < kCount; ++i) {
    factor[i] = V::broadcast(factors + i);
#pragma GCC unroll 16
    for (int p = 0; p < kParts; ++p) dot[i][p] = V::zero();
  }
  std::int64_t c = 0;
  for (; c + kDotLanes <= width; c += kDotLanes) {
#pragma GCC unroll 16
    for (int p = 0; p < kParts; ++p) {
      const std::int64_t at = c + p * V::kLanes;
      typename V::type total, own;
      if constexpr (kSum) total = fresh ? V::zero() : V::load(sum + at);
      if constexpr (kDots) own = V::load(weight + at);
#pragma GCC unroll 4
      for (int i = 0; i < kCount; ++i) {
        const typename V::type value = V::load(rows[i] + at);
        if constexpr (kDots) dot[i][p] = V::fma(own, value, dot[i][p]);
        if constexpr (kSum) total = V::fma(factor[i], value, total);
      }
      if constexpr (kSum) V::store(sum + at, total);
    }
  }
  if constexpr (kSum)
    for (std::int64_t at = c; at < width; ++at) {
      if (fresh) sum[at] = 0;
      for (int i = 0; i < kCount; ++i) sum[at] = fused(factors[i], rows[i][at], sum[at]);
    }
  if constexpr (kDots)
    for (int i = 0; i < kCount; ++i) {
      T lanes[kDotLanes];
      for (int p = 0; p < kParts; ++p) V::store(lanes + p * V::kLanes, dot[i][p]);
      for (std::int64_t at = c; at < width; ++at)
        lanes[at - c] = fused(weight[at], rows[i][at], lanes[at - c]);
      for (int half = kDotLanes / 2; half > 0; half /= 2)
        for (int l = 0; l < half; ++l) lanes[l] += lanes[l + half];
      dots[i] = lanes[0];
    }
}

template <bool kDots, bool kSum, class T>
void gradients_in_groups(const T* const* rows, const T* factors, std::int64_t count,
                         std::int64_t listed, std::int64_t width, const T* weight, T* dots,
                         T* sum) {
  constexpr int kGroup = kDotLanes / Vec<T>::kLanes <= 2 ? 4 : 2;  // what the registers hold
  if constexpr (kSum)
    if (count == 0) std::memset(sum, 0, static_cast<std::size_t>(width) * sizeof(T));
  std::int64_t i = 0;
  const auto next = [&](auto group) {
    constexpr int kCount = decltype(group)::kCount;
    for (std::int64_t later = i + kGroup; later < listed && later < i + kGroup + kCount; ++later)
      fetch(rows[later], width);
    gradients_of<kCount, kDots, kSum>(rows + i, factors + i, width, weight, dots + (kDots ? i : 0),
                                      sum, i == 0);
    i += kCount;
  };
  while (i + kGroup <= count) next(Group<kGroup>{});
  if (i + 2 <= count) next(Group<2>{});
  while (i < count) next(Group<1>{});
}

template <class T>
void gradients(const T* const* rows, const T* factors, std::int64_t count, std::int64_t listed,
               std::int64_t width, const T* weight, T* dots, T* sum) {
  if (weight && sum)
    gradients_in_groups<true, true>(rows, factors, count, listed, width, weight, dots, sum);
  else if (weight)
    gradients_in_groups<true, false>(rows, factors, count, listed, width, weight, dots, sum);
  else if (sum)
    gradients_in_groups<false, true>(rows, factors, count, listed, width, weight, dots, sum);
}

template <class T>
constexpr SparseKernelsOf<T> kernels_of() {
  return {kPanel<T>, kRows,          magnitude<T>, pack<T>,    product<T>,    at_least<T>,
          above<T>,  kth_largest<T>, kPiece<T>,    scatter<T>, accumulate<T>, gradients<T>};
}

constexpr SparseKernels table_of(const char* name) {
  return {name, kernels_of<float>(), kernels_of<double>()};
}

}  // namespace
