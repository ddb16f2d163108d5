// Switches between stacks on one thread of the host.
#include "testing/cuda_emulator/fibers.h"

#include <exception>

namespace ilo::emulated {

namespace {

constexpr std::size_t kWords = kStackBytes / 8;
constexpr std::uint64_t kCanary = 0x5afe5afe5afe5afeu;

#if !defined(ILO_UCONTEXT)
// Keeps what a called function has to keep, leaves the stack in *from, and goes on where `to` was
// left.
__attribute__((naked, noinline)) void swap_stacks(void** /*from*/, void* /*to*/) {
  __asm__ volatile(
      "pushq %rbp\n\t"
      "pushq %rbx\n\t"
      "pushq %r12\n\t"
      "pushq %r13\n\t"
      "pushq %r14\n\t"
      "pushq %r15\n\t"
      "movq %rsp, (%rdi)\n\t"
      "movq %rsi, %rsp\n\t"
      "popq %r15\n\t"
      "popq %r14\n\t"
      "popq %r13\n\t"
      "popq %r12\n\t"
      "popq %rbx\n\t"
      "popq %rbp\n\t"
      "ret");
}
#endif

#if defined(__SANITIZE_ADDRESS__)
thread_local Context* coming = nullptr;
thread_local Context* leaving = nullptr;
#endif

}  // namespace

Context::Context(void (*entry)()) : stack_(new std::uint64_t[kWords]) {
  stack_[0] = stack_[1] = kCanary;
#if defined(ILO_UCONTEXT)
  getcontext(&context_);
  context_.uc_stack.ss_sp = stack_.get();
  context_.uc_stack.ss_size = kStackBytes;
  context_.uc_link = nullptr;
  makecontext(&context_, entry, 0);
#else
  // As swap_stacks leaves it: six registers, and where to go; then the address that the entry
  // would return to, which lies on a multiple of 16 bytes plus 8.
  std::size_t top = kWords - 2;
  if (reinterpret_cast<std::uintptr_t>(&stack_[top]) % 16 == 0) --top;
  stack_[top] = 0;
  stack_[top - 1] = reinterpret_cast<std::uint64_t>(entry);
  for (std::size_t i = 2; i <= 7; ++i) stack_[top - i] = 0;
  stack_pointer_ = &stack_[top - 7];
#endif
#if defined(__SANITIZE_ADDRESS__)
  bottom_ = stack_.get();
  size_ = kStackBytes;
#elif defined(__SANITIZE_THREAD__)
  fiber_ = __tsan_create_fiber(0);
#endif
}

Context::~Context() {
#if defined(__SANITIZE_THREAD__)
  if (stack_) __tsan_destroy_fiber(fiber_);
#endif
}

bool Context::overflown() const { return stack_ && (stack_[0] != kCanary || stack_[1] != kCanary); }

void Context::enter(Context& from) {
#if defined(__SANITIZE_ADDRESS__)
  leaving = &from;
  coming = this;
  __sanitizer_start_switch_fiber(&from.fake_stack_, bottom_, size_);
#elif defined(__SANITIZE_THREAD__)
  if (!from.stack_) from.fiber_ = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(fiber_, 0);
#endif
#if defined(ILO_UCONTEXT)
  swapcontext(&from.context_, &context_);
#else
  swap_stacks(&from.stack_pointer_, stack_pointer_);
#endif
  entered();
}

void Context::entered() {
#if defined(__SANITIZE_ADDRESS__)
  // Who left may be the thread's own stack, whose bounds are known only now.
  const void* bottom;
  std::size_t size;
  __sanitizer_finish_switch_fiber(coming->fake_stack_, &bottom, &size);
  coming->fake_stack_ = nullptr;
  if (!leaving->stack_) {
    leaving->bottom_ = bottom;
    leaving->size_ = size;
  }
#endif
}

}  // namespace ilo::emulated
