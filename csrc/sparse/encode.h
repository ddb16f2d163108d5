// The encoder's product, fused with the choice of what is active: no pre-activation is stored
// beyond a tile.
//
// A task takes a tile of tokens through all layers and features, a chunk of features at a time:
// product of the chunk (kernels/), then a scan of each token's row of the tile. For the top k a
// token keeps a few more candidates than k and the least of its k best so far, which is what the
// scan compares with, so that few values pass. Candidates come in the order of features and stay in
// it: nothing is sorted.
#pragma once

#include <cstdint>
#include <vector>

#include "core/parallel.h"
#include "sparse/kernels/kernels.h"

namespace ilo {

template <class T>
struct EncodeInput {
  const T *x, *weight, *bias;  // (n, layers, d), (layers, features, d), (layers, features)
  std::int64_t n, n_layers, n_features, d;
};

// As ActiveRows, with values.
template <class T>
struct Encoded {
  std::vector<std::int64_t> indptr;
  std::vector<std::int32_t> indices;
  std::vector<T> values;
};

// All throw BadRow for a token that is not finite, InvalidArgument for weights that are not, and
// BadRow for a token whose pre-activations overflow. The kernels are SparseKernels::f32 or f64.

// Pre-activations above `thresholds` (layers, features).
template <class T>
Encoded<T> encode_above(const EncodeInput<T>& in, const T* thresholds,
                        const SparseKernelsOf<T>& kernels, Team& team);

// Of every layer the k largest positive pre-activations of each token; of equal ones the first.
template <class T>
Encoded<T> encode_top_k(const EncodeInput<T>& in, std::int64_t k, const SparseKernelsOf<T>& kernels,
                        Team& team);

// Of every layer the k * n largest positive pre-activations of all tokens; of equal ones the first.
template <class T>
Encoded<T> encode_batch_top_k(const EncodeInput<T>& in, std::int64_t k,
                              const SparseKernelsOf<T>& kernels, Team& team);

}  // namespace ilo
