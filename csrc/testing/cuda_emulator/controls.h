// What tests can ask of the CUDA emulator, and tell it. Needs nothing else of it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ilo::emulated {

// Device memory there is; allocations beyond it fail. 0: the default, 2 GiB.
void set_memory_limit(std::size_t bytes);
// The nth allocation from now on (of the device's memory or of pinned memory) fails; 0: none does.
void fail_allocation(int nth);
bool failure_pending();  // there have been fewer than n
// Order of what has no order. 0: streams do only what somebody waits for, blocks and threads go up.
// Otherwise streams with work take turns at random, and blocks and threads go up or down.
void set_order(std::uint64_t seed);

// Device memory, since the process began.
std::size_t live_bytes();
std::size_t peak_bytes();
void reset_peak();        // to what is live
std::int64_t launches();  // of kernels, that ran
// What went wrong where nothing may be thrown (cudaFree); it is thrown where this thread next
// waits.
bool problem_pending();

}  // namespace ilo::emulated
