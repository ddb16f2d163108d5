// The engine on the stand-in for a GPU.
#include "cuda/device.h"
#include "cuda/engine.h"

namespace ilo {

std::vector<DeviceInfo> emulated_run(const DeviceInput& input, const DeviceOptions& options,
                                     const DeviceResult& result, Team& team) {
  const StandardFloatingPoint standard;
  const emulated::DeviceGuard device(options.device);
  return emulated::Engine(input, options, result, team).run();
}

double emulated_bounds(const DeviceInput& input, const DeviceOptions& options, double* bounds) {
  const StandardFloatingPoint standard;
  const DeviceResult nowhere;
  Team team(1, nullptr);
  return emulated::Engine(input, options, nowhere, team).certified_bounds(bounds);
}

}  // namespace ilo
