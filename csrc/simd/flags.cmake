# What the kernels of each instruction set are compiled with; nothing else is.
set(avx2 -mavx2 -mfma -mf16c)
set(wide -mprefer-vector-width=512)
if(MSVC)  # clang-cl takes it in this form alone
  set(wide /clang:-mprefer-vector-width=512)
endif()
set(avx512 ${avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl ${wide})
set(avx512_bf16 ${avx512} -mavx512bf16)
set(amx_bf16 ${avx512} -mamx-tile -mamx-bf16)
set(neon)  # of every aarch64

# Which kernels the compiler's target can have: ILO_LEVELS. Asked of the compiler, which knows it also
# where CMAKE_SYSTEM_PROCESSOR names the machine that builds (macOS and Visual Studio, building for
# another processor; a universal binary has none but the portable ones).
include(CheckCXXSourceCompiles)
check_cxx_source_compiles("
#if !defined(__x86_64__) && !defined(_M_X64)
#error another processor
#endif
int main() { return 0; }" ILO_TARGETS_X86)
check_cxx_source_compiles("
#if !defined(__aarch64__) && !defined(_M_ARM64)
#error another processor
#endif
int main() { return 0; }" ILO_TARGETS_ARM)
set(ILO_LEVELS)
if(ILO_TARGETS_X86)
  set(ILO_LEVELS avx2 avx512 avx512_bf16 amx_bf16)
elseif(ILO_TARGETS_ARM)
  set(ILO_LEVELS neon)
  # GCC 10 and clang 11; the clang of ziglang, which takes processors alone.
  foreach(flag -march=armv8.2-a+bf16 -mcpu=generic+v8_2a+bf16)
    string(MAKE_C_IDENTIFIER "ILO_COMPILES${flag}" compiles)
    set(CMAKE_REQUIRED_FLAGS ${flag})
    check_cxx_source_compiles("
#include <arm_neon.h>
float32x4_t f(float32x4_t s, bfloat16x8_t a, bfloat16x8_t b) { return vbfmmlaq_f32(s, a, b); }
int main() { return 0; }" ${compiles})
    unset(CMAKE_REQUIRED_FLAGS)
    if(${compiles})
      set(neon_bf16 ${flag})
      list(APPEND ILO_LEVELS neon_bf16)
      break()
    endif()
  endforeach()
endif()
