// The engine for GPUs, its kernels and its host code, on the CUDA emulator.
#include "cuda/engine.h"

#include "testing/cuda_bounds.h"
#include "testing/cuda_engines.h"

namespace ilo {

std::vector<DeviceInfo> emulated_run(const DeviceInput& input, const DeviceOptions& options,
                                     const DeviceResult& result, Team& team) {
  const StandardFloatingPoint standard;
  const emulated::DeviceGuard device(options.device);
  return emulated::Engine(input, options, result, team).run();
}

double emulated_bounds(const DeviceInput& input, const DeviceOptions& options, double* bounds) {
  return emulated::certified_bounds(input, options, bounds);
}

}  // namespace ilo
