// A look at the certificate of the engine on a GPU.
//
// Its kernels are compiled a second time here, under a namespace of their own: gpu.cu has the
// others.
#define gpu gpu_bounds_detail
#include "testing/cuda_bounds.h"
#undef gpu

#include "testing/cuda_engines.h"

namespace ilo {

double gpu_bounds(const DeviceInput& input, const DeviceOptions& options, double* bounds) {
  return gpu_bounds_detail::certified_bounds(input, options, bounds);
}

}  // namespace ilo
