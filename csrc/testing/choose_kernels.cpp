// How tests choose an instruction set: as the product does, with the emulated AMX besides.
#include "simd/dispatch.h"
#include "testing/amx_bf16_emulated.h"

namespace ilo {

const Kernels& choose_testing_kernels(const std::string& level) {
  const Kernels* emulated = kernels_amx_bf16_emulated();
  return level == emulated->name ? *emulated : choose_kernels(level);
}

}  // namespace ilo
