// Small arithmetic that several parts need.
#pragma once

#include <cstdint>

namespace ilo {

inline std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// One more value into a 64-bit hash.
inline std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  const std::uint64_t h = (hash ^ value) * 0xff51afd7ed558ccdu;
  return h ^ (h >> 32);
}

}  // namespace ilo
