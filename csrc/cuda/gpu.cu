// The engine on a GPU.
#include "cuda/device.h"
#include "cuda/engine.h"
#include "cuda/status.h"

namespace ilo {

std::vector<DeviceInfo> gpu_run(const DeviceInput& input, const DeviceOptions& options,
                                const DeviceResult& result, Team& team) {
  const DeviceStatus status = status_of_devices();
  if (status.devices.empty()) throw InvalidArgument(status.problem);
  const StandardFloatingPoint standard;
  const gpu::DeviceGuard device(options.device);
  return gpu::Engine(input, options, result, team).run();
}

double gpu_bounds(const DeviceInput& input, const DeviceOptions& options, double* bounds) {
  const gpu::DeviceGuard device(options.device);
  const DeviceResult nowhere;
  Team team(1, nullptr);
  return gpu::Engine(input, options, nowhere, team).certified_bounds(bounds);
}

DeviceStatus gpu_status() { return status_of_devices(); }

}  // namespace ilo
