// What this processor can do, as far as the operating system lets a process use it.
#pragma once

namespace ilo::processor {

#if defined(ILO_X86_KERNELS)
bool has_avx2();    // with FMA and F16C
bool has_avx512();  // F, BW, DQ and VL
bool has_avx512_bf16();
bool has_amx_bf16();
#endif
#if defined(ILO_NEON_BF16)
bool has_neon_bf16();
#endif

}  // namespace ilo::processor
