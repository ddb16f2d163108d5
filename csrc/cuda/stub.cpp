// In place of gpu.cu where the build has no CUDA compiler.
#include "core/errors.h"
#include "cuda/device.h"

namespace ilo {

namespace {
const char* const kNotBuilt =
    "this build has no engine for GPUs: install a CUDA toolkit (nvcc) and build ilo_fast again "
    "(`SKBUILD_CMAKE_DEFINE=ILO_FAST_CUDA=ON pip install .`), or use backend='exact', which gives "
    "the same neighbours";
}  // namespace

std::vector<DeviceInfo> gpu_run(const DeviceInput&, const DeviceOptions&, const DeviceResult&,
                                Team&) {
  throw InvalidArgument(kNotBuilt);
}

DeviceStatus gpu_status() {
  DeviceStatus status;
  status.problem = kNotBuilt;
  return status;
}

}  // namespace ilo
