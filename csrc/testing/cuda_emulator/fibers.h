// A second stack to run on, and to and fro between stacks, on one thread of the host.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#elif defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif
#if !defined(__x86_64__) || !defined(__ELF__)
#define ILO_UCONTEXT
#include <ucontext.h>
#endif

namespace ilo::emulated {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t kStackBytes = 256 * 1024;
#else
constexpr std::size_t kStackBytes = 64 * 1024;
#endif

// Where to go on. One without a stack of its own stands for the thread's own stack.
class Context {
 public:
  Context() = default;
  explicit Context(void (*entry)());  // which must never return
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context();

  // From `from`, which must be what runs now, to here; returns when somebody goes back to it.
  void enter(Context& from);
  static void entered();  // has to be called first thing in an entry
  bool overflown() const;

 private:
  std::unique_ptr<std::uint64_t[]> stack_;
#if defined(ILO_UCONTEXT)
  ucontext_t context_;
#else
  void* stack_pointer_ = nullptr;
#endif
#if defined(__SANITIZE_ADDRESS__)
  void* fake_stack_ = nullptr;
  const void* bottom_ = nullptr;
  std::size_t size_ = 0;
#elif defined(__SANITIZE_THREAD__)
  void* fiber_ = nullptr;
#endif
};

}  // namespace ilo::emulated
