// What active features write, added up, and the gradients of that sum.
//
// A feature of layer s has one contiguous row for the outputs s to s + span - 1, so that each entry
// is one run through memory. For few tokens `decode` gathers the rows of each; for many it turns
// this around: entries are sorted by feature, so that each row is read once for all tokens of a
// block, whose outputs stay in the second-level cache, a piece of their columns at a time. Either
// way an output is the bias, and then entry after entry in the order of features. The gradients go
// feature by feature (counting sort): its rows of the weights and of their gradient stay in the
// cache, one thread owns them, and what passes by is the gradient of the outputs, once for both
// products.
#pragma once

#include <cstdint>
#include <vector>

#include "core/parallel.h"
#include "sparse/active.h"
#include "sparse/kernels/kernels.h"

namespace ilo {

// Decoder weights: of layer s (features, spans[s], d), which write into outputs[first[s]] and on.
struct DecoderShape {
  std::vector<std::int64_t> first, spans;  // of each layer
  std::int64_t outputs, d;
};

// out (n, outputs, d): the bias (outputs, d; null for none), then entry after entry.
template <class T>
void decode(const ActiveRows& rows, const T* values, const std::vector<const T*>& weights,
            const T* bias, const DecoderShape& shape, const SparseKernelsOf<T>& kernels, T* out,
            Team& team);

// Gradients from that of `out`; those that are null, or missing, are not wanted.
template <class T>
struct DecodeGradients {
  T* values;                // (entries)
  std::vector<T*> weights;  // as the weights
};
template <class T>
void decode_gradients(const ActiveRows& rows, const T* values, const std::vector<const T*>& weights,
                      const T* grad_out, const DecoderShape& shape,
                      const SparseKernelsOf<T>& kernels, const DecodeGradients<T>& out, Team& team);

// sums (layers, features): the entries' values, added up for each feature in the order of tokens.
template <class T>
void sum_by_feature(const ActiveRows& rows, const T* values, T* sums);

// sums (width): rows of (n, width), added up from the first on.
template <class T>
void sum_of_rows(const T* rows, std::int64_t n, std::int64_t width,
                 const SparseKernelsOf<T>& kernels, T* sums, Team& team);

}  // namespace ilo
