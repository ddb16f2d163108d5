// For functions that kernels on a GPU share with the host.
#pragma once

#if defined(__CUDACC__)
#define ILO_HOST_DEVICE __host__ __device__
#else
#define ILO_HOST_DEVICE
#endif
