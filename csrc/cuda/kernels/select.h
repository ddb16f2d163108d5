// The k-th largest of many, by a block: digit by digit from the highest, for any number of items.
#pragma once

#include <cstdint>

#include "cuda/platform.h"

namespace ilo::gpu {

template <class Key>
struct Selected {
  Key key;              // of the k-th largest
  std::int64_t larger;  // items with a larger key, fewer than k
};

// item(i, key) says whether item i < n counts, and gives its key, an unsigned integer. At least k
// >= 1 items have to count. All threads of the block call this together, and all get the answer.
template <class Key, class Item>
__device__ Selected<Key> select_largest(std::int64_t n, std::int64_t k, Item item) {
  __shared__ int histogram[256];
  __shared__ int digit;
  __shared__ std::int64_t remaining;
  Key prefix = 0, mask = 0;
  std::int64_t left = k;
  for (int shift = 8 * static_cast<int>(sizeof(Key)) - 8; shift >= 0; shift -= 8) {
    for (int b = threadIdx.x; b < 256; b += blockDim.x) histogram[b] = 0;
    __syncthreads();
    for (std::int64_t i = threadIdx.x; i < n; i += blockDim.x) {
      Key key = 0;
      if (item(i, key) && (key & mask) == prefix)
        atomicAdd(&histogram[static_cast<int>((key >> shift) & 255)], 1);
    }
    __syncthreads();
    if (threadIdx.x < 32) {  // eight bins a thread, the highest first
      const int lane = threadIdx.x, top = 255 - 8 * lane;
      int own = 0;
      for (int b = top; b > top - 8; --b) own += histogram[b];
      int through = own;  // items in the bins of threads 0 .. lane
      for (int width = 1; width < 32; width *= 2) {
        const int before = __shfl_sync(0xffffffffu, through, lane - width);
        if (lane >= width) through += before;
      }
      if (through - own < left && left <= through) {
        std::int64_t rest = left - (through - own);
        int b = top;
        while (rest > histogram[b]) rest -= histogram[b--];
        digit = b;
        remaining = rest;
      }
    }
    __syncthreads();
    left = remaining;
    prefix |= static_cast<Key>(digit) << shift;
    mask |= static_cast<Key>(255) << shift;
    __syncthreads();  // before the histogram is cleared again
  }
  return {prefix, k - left};
}

}  // namespace ilo::gpu
