// In place of gpu_bounds.cu where the build has no CUDA compiler.
#include "core/errors.h"
#include "testing/cuda_engines.h"

namespace ilo {

double gpu_bounds(const DeviceInput&, const DeviceOptions&, double*) {
  throw InvalidArgument(gpu_status().problem);
}

}  // namespace ilo
