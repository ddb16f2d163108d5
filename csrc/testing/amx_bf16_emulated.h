// The kernels of amx_bf16 on any processor, and how tests choose among them and the real ones.
#pragma once

#include <string>

#include "knn/kernels/kernels.h"

namespace ilo {

// Slow: the tiles are plain C++.
const Kernels* kernels_amx_bf16_emulated();

// choose_kernels of simd/dispatch.h, which also knows "amx_bf16_emulated".
const Kernels& choose_testing_kernels(const std::string& level);

}  // namespace ilo
