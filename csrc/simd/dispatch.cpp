// Finds the instruction sets of this processor and chooses one.
#include "simd/dispatch.h"

#include <cstdlib>

#if defined(ILO_X86_KERNELS)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "core/errors.h"

namespace ilo {

namespace {

#if defined(ILO_X86_KERNELS)
// Bits of CPUID leaf 7.
bool has_avx512_bf16() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & (1u << 5));
}

// The processor has the tiles, and the system lets this process use them: Linux hands out their
// 8 KiB of state on request only (Documentation/arch/x86/xstate.rst).
bool has_amx_bf16() {
#if defined(__linux__) && defined(SYS_arch_prctl)
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kBf16 = 1u << 22, kTile = 1u << 24;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & (kBf16 | kTile)) != (kBf16 | kTile))
    return false;
  constexpr int kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}
#endif

struct Level {
  const Kernels* (*kernels)();
  const SparseKernels* (*sparse)();
  bool supported;
};

const std::vector<Level>& levels() {
  static const std::vector<Level> all = [] {
    std::vector<Level> out{{kernels_scalar, sparse_kernels_scalar, true}};
#if defined(ILO_X86_KERNELS)
    // The builtins also check that the operating system saves the wider registers.
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                      __builtin_cpu_supports("f16c");
    out.push_back({kernels_avx2, sparse_kernels_avx2, avx2});
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    out.push_back({kernels_avx512, sparse_kernels_avx512, avx512});
    out.push_back({kernels_avx512_bf16, sparse_kernels_avx512, avx512 && has_avx512_bf16()});
    out.push_back({kernels_amx_bf16, sparse_kernels_avx512, avx512 && has_amx_bf16()});
#endif
    return out;
  }();
  return all;
}

}  // namespace

std::vector<std::string> available_levels() {
  std::vector<std::string> names;
  for (const Level& level : levels())
    if (level.supported) names.emplace_back(level.kernels()->name);
  return names;
}

namespace {

const Level& choose(const std::string& wanted) {
  std::string name = wanted;
  const char* source = "simd";
  if (name.empty()) {
    if (const char* env = std::getenv("ILO_FAST_SIMD")) name = env, source = "ILO_FAST_SIMD";
  }
  const Level* best = nullptr;
  bool known = false;
  for (const Level& level : levels()) {
    if (name == level.kernels()->name) {
      if (level.supported) return level;
      known = true;
    }
    if (level.supported) best = &level;
  }
  if (name.empty()) return *best;
  std::string have;
  for (const std::string& level : available_levels()) have += (have.empty() ? "" : ", ") + level;
  throw InvalidArgument(text(source, "='", name, "' ",
                             known ? "is not supported by this processor" : "is not known",
                             "; available here: ", have));
}

}  // namespace

const Kernels& choose_kernels(const std::string& level) { return *choose(level).kernels(); }

const SparseKernels& choose_sparse_kernels(const std::string& level) {
  return *choose(level).sparse();
}

}  // namespace ilo
