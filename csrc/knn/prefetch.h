// Asks the caches for memory that will be read soon.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ilo {

inline void prefetch(const std::byte* from, std::int64_t bytes) {
#if defined(__GNUC__)
  for (std::int64_t b = 0; b < bytes; b += 64) __builtin_prefetch(from + b, 0, 2);
#else
  (void)from, (void)bytes;
#endif
}

}  // namespace ilo
