// Compiles only where the CUDA compiler can do what the engine needs.
#include <cuda_runtime.h>

#include <functional>
#include <string>
#include <vector>

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
#error "the engine for GPUs needs compute capability 8.0 or newer"
#endif

__global__ void fill(float* out) { out[threadIdx.x] = 1; }

int main() {
  fill<<<1, 32>>>(nullptr);
  return cudaGetLastError() == cudaSuccess ? 0 : 1;
}
