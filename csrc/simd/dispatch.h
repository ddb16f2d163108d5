// Which instruction sets this processor has, and which one to use.
#pragma once

#include <string>
#include <vector>

#include "knn/kernels/kernels.h"
#include "sparse/kernels/kernels.h"

namespace ilo {

// Best last. "scalar" is always there.
std::vector<std::string> available_levels();

// The kernels of `level`, or of the environment variable ILO_FAST_SIMD if `level` is empty, or the
// best there are if that is unset. Throws InvalidArgument for a name that is unknown or that this
// processor lacks: an override must never silently run something else.
const Kernels& choose_kernels(const std::string& level);

// The same for the products of transcoders. The levels beyond avx512 and neon differ in bfloat16
// only, which these products do not use: they take those of avx512 and neon.
const SparseKernels& choose_sparse_kernels(const std::string& level);

}  // namespace ilo
