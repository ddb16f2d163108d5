// Asks the processor (x86: CPUID) or the operating system (ARM).
#include "simd/processor.h"

#include <cstdint>

#if defined(ILO_X86_KERNELS)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>

#include <cstddef>
#include <cstdio>
#endif

namespace ilo::processor {

#if defined(__APPLE__)
namespace {

[[maybe_unused]] bool sysctl_is_set(const char* name) {
  int value = 0;
  std::size_t size = sizeof value;
  return sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value;
}

}  // namespace
#endif

#if defined(ILO_X86_KERNELS)

namespace {

struct Registers {
  std::uint32_t a = 0, b = 0, c = 0, d = 0;
};

// Not __builtin_cpu_supports: it needs a part of the compiler's library that clang-cl does not
// link. Zeros where the processor has no such leaf.
Registers cpuid(std::uint32_t leaf, std::uint32_t subleaf) {
  Registers out;
  if (!__get_cpuid_count(leaf, subleaf, &out.a, &out.b, &out.c, &out.d)) return {};
  return out;
}

bool all(std::uint32_t bits, std::uint32_t wanted) { return (bits & wanted) == wanted; }
constexpr std::uint32_t bit(int n) { return 1u << n; }

// Registers that the operating system saves when it switches between threads (XCR0).
bool system_saves(std::uint32_t wanted) {
  if (!all(cpuid(1, 0).c, bit(27))) return false;  // OSXSAVE: else XGETBV is no instruction
  std::uint32_t low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return all(low, wanted);
}
constexpr std::uint32_t kAvxState = 0x06;

#if defined(__APPLE__)
// macOS saves AVX-512 registers from a thread's first such instruction on; XCR0 does not show them
// before (XNU, osfmk/i386/fpu.c). Signals could spoil mask registers before Darwin 21.3, macOS 12.2
// (golang/go, issue 49233).
bool system_saves_avx512() {
  char release[64] = {};
  std::size_t size = sizeof release - 1;
  int major = 0, minor = 0;
  return sysctl_is_set("hw.optional.avx512f") &&
         sysctlbyname("kern.osrelease", release, &size, nullptr, 0) == 0 &&
         std::sscanf(release, "%d.%d", &major, &minor) == 2 &&
         (major > 21 || (major == 21 && minor >= 3));
}
#else
bool system_saves_avx512() { return system_saves(0xe6); }
#endif

}  // namespace

bool has_avx2() {
  return system_saves(kAvxState) && all(cpuid(1, 0).c, bit(12) | bit(28) | bit(29)) &&
         all(cpuid(7, 0).b, bit(5));
}

bool has_avx512() {
  return has_avx2() && system_saves_avx512() &&
         all(cpuid(7, 0).b, bit(16) | bit(17) | bit(30) | bit(31));
}

bool has_avx512_bf16() { return has_avx512() && all(cpuid(7, 1).a, bit(5)); }

// The processor has the tiles, and the system lets this process use them: Linux hands out their
// 8 KiB of state on request only (Documentation/arch/x86/xstate.rst).
bool has_amx_bf16() {
#if defined(__linux__) && defined(SYS_arch_prctl)
  if (!has_avx512() || !all(cpuid(7, 0).d, bit(22) | bit(24))) return false;
  constexpr int kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

#endif

#if defined(ILO_NEON_BF16)

bool has_neon_bf16() {
#if defined(__linux__)
  constexpr unsigned long kBf16 = 1ul << 14;  // HWCAP2_BF16 of asm/hwcap.h
  return getauxval(AT_HWCAP2) & kBf16;
#elif defined(__APPLE__)
  return sysctl_is_set("hw.optional.arm.FEAT_BF16");
#else
  return false;  // not asked for on this system
#endif
}

#endif

}  // namespace ilo::processor
