// What gpu_status tells where the build has a CUDA compiler; for gpu.cu.
#pragma once

#include <cuda_runtime.h>

#include "core/errors.h"
#include "cuda/device.h"

namespace ilo {

inline DeviceStatus status_of_devices() {
  DeviceStatus status;
  status.built = true;
  status.architectures = ILO_CUDA_ARCHITECTURES;
  cudaRuntimeGetVersion(&status.runtime);
  cudaDriverGetVersion(&status.driver);  // 0 without a driver
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess || count == 0) {
    cudaGetLastError();  // not for whoever asks next
    const auto version = [](int v) { return text(v / 1000, ".", v % 1000 / 10); };
    const std::string reason = status.driver == 0 ? "no NVIDIA driver is installed"
                               : status.driver < status.runtime
                                   ? text("the driver knows CUDA up to ", version(status.driver),
                                          ", this build is of CUDA ", version(status.runtime))
                               : error == cudaSuccess ? "the driver shows no device"
                                                      : cudaGetErrorString(error);
    status.problem =
        text("there is no GPU to work on (", reason,
             "): see what nvidia-smi and CUDA_VISIBLE_DEVICES say, or use backend='exact', which "
             "gives the same neighbours");
    return status;
  }
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties;
    if (cudaGetDeviceProperties(&properties, i) != cudaSuccess) continue;
    status.devices.push_back({properties.name, properties.major, properties.minor,
                              static_cast<std::int64_t>(properties.totalGlobalMem),
                              properties.l2CacheSize});
  }
  return status;
}

}  // namespace ilo
