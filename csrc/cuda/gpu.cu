// The engine on a GPU.
#include "core/errors.h"
#include "cuda/device.h"
#include "cuda/engine.h"
#include "cuda/status.h"

namespace ilo {

std::vector<DeviceInfo> gpu_run(const DeviceInput& input, const DeviceOptions& options,
                                const DeviceResult& result, Team& team) {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess || count == 0)
    throw InvalidArgument(status_of_devices().problem);
  if (options.device < 0 || options.device >= count)
    throw InvalidArgument(text("there is no device ", options.device, " of ", count));
  const StandardFloatingPoint standard;
  const gpu::DeviceGuard device(options.device);
  return gpu::Engine(input, options, result, team).run();
}

DeviceStatus gpu_status() { return status_of_devices(); }

}  // namespace ilo
