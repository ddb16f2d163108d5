// The engine for GPUs as tests run it: on the CUDA emulator, and with a look at its certificate.
#pragma once

#include <vector>

#include "core/parallel.h"
#include "cuda/device.h"

namespace ilo {

// gpu_run of cuda/device.h on the CUDA emulator.
std::vector<DeviceInfo> emulated_run(const DeviceInput& input, const DeviceOptions& options,
                                     const DeviceResult& result, Team& team);

// The certificate's lower bound of |z_i - z_j| for all rows of the only layer, [n][n], from scores
// of the fused kernel. Returns the scale of z.
double emulated_bounds(const DeviceInput& input, const DeviceOptions& options, double* bounds);
double gpu_bounds(const DeviceInput& input, const DeviceOptions& options, double* bounds);

}  // namespace ilo
