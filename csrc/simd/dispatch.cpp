// Chooses among the instruction sets of this processor.
#include "simd/dispatch.h"

#include <cstdlib>

#include "core/errors.h"
#include "simd/processor.h"

namespace ilo {

namespace {

struct Level {
  const Kernels* (*kernels)();
  const SparseKernels* (*sparse)();
  bool supported;
};

const std::vector<Level>& levels() {
  static const std::vector<Level> all = [] {
    std::vector<Level> out{{kernels_scalar, sparse_kernels_scalar, true}};
#if defined(ILO_X86_KERNELS)
    out.push_back({kernels_avx2, sparse_kernels_avx2, processor::has_avx2()});
    out.push_back({kernels_avx512, sparse_kernels_avx512, processor::has_avx512()});
    out.push_back({kernels_avx512_bf16, sparse_kernels_avx512, processor::has_avx512_bf16()});
    out.push_back({kernels_amx_bf16, sparse_kernels_avx512, processor::has_amx_bf16()});
#elif defined(ILO_ARM_KERNELS)
    out.push_back({kernels_neon, sparse_kernels_neon, true});
#if defined(ILO_NEON_BF16)
    out.push_back({kernels_neon_bf16, sparse_kernels_neon, processor::has_neon_bf16()});
#endif
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
