#include "simd/dispatch.h"

#include <cstdlib>

#include "core/errors.h"

namespace ilo {

namespace {

struct Level {
  const Kernels* (*kernels)();
  bool supported;
};

std::vector<Level> levels() {
  std::vector<Level> out{{kernels_scalar, true}};
#if defined(ILO_X86_KERNELS)
  // The builtins also check that the operating system saves the wider registers.
  out.push_back({kernels_avx2, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                                   __builtin_cpu_supports("f16c")});
  out.push_back({kernels_avx512,
                 __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                     __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")});
#endif
  return out;
}

}  // namespace

std::vector<std::string> available_levels() {
  std::vector<std::string> names;
  for (const Level& level : levels())
    if (level.supported) names.emplace_back(level.kernels()->name);
  return names;
}

const Kernels& choose_kernels(const std::string& wanted) {
  std::string name = wanted;
  const char* source = "simd";
  if (name.empty()) {
    if (const char* env = std::getenv("ILO_FAST_SIMD")) name = env, source = "ILO_FAST_SIMD";
  }
  const Kernels* best = nullptr;
  bool known = false;
  for (const Level& level : levels()) {
    const Kernels* kernels = level.kernels();
    if (name == kernels->name) {
      if (level.supported) return *kernels;
      known = true;
    }
    if (level.supported) best = kernels;
  }
  if (name.empty()) return *best;
  std::string have;
  for (const std::string& level : available_levels()) have += (have.empty() ? "" : ", ") + level;
  throw InvalidArgument(text(source, "='", name, "' ",
                             known ? "is not supported by this processor" : "is not known",
                             "; available here: ", have));
}

}  // namespace ilo
