// The loops around a micro-kernel whose panels hold kPanel values of four bytes a step.
//
// Needs before inclusion: kernels.h, the constant kPanel.

namespace {

// The column panel that is read next, a share at a time.
class Ahead {
 public:
  // Of a panel's `bytes`, in `calls` shares of whole lines.
  Ahead(const std::byte* panel, std::int64_t bytes, std::int64_t calls)
      : at_(panel), left_((bytes + 63) / 64), share_((left_ + calls - 1) / calls) {}
  void fetch() {
    for (std::int64_t i = 0; i < share_ && left_ > 0; ++i, --left_, at_ += 64)
      __builtin_prefetch(at_);
  }

 private:
  const std::byte* at_;
  std::int64_t left_, share_;
};

// micro makes rows_a_call rows of a panel's tile, and sums `depth` steps in registers before they
// are added to it. Chunks of so many steps are outermost, so that all panels of a block pair pass
// through the second-level cache a chunk at a time, then column panels, which stay in the first
// level while the row panels pass by. Column panels come from the last level, each just once a
// chunk: the calls for one fetch the next, or every one would begin with waiting.
template <class Value, class Micro>
void product_of_panels(Micro micro, int rows_a_call, std::int64_t depth, const std::byte* a,
                       std::int64_t a_panels, const std::byte* b, std::int64_t b_panels,
                       std::int64_t steps, std::int64_t stride, float* tile, std::int64_t ld) {
  constexpr std::int64_t kStepBytes = kPanel * 4;
  const std::int64_t calls = a_panels * (kPanel / rows_a_call);
  for (std::int64_t k = 0; k < steps; k += depth) {
    const std::int64_t count = steps - k < depth ? steps - k : depth;
    const std::int64_t after = k + count;
    const std::int64_t count_after = steps - after < depth ? steps - after : depth;
    for (std::int64_t q = 0; q < b_panels; ++q) {
      Ahead ahead = q + 1 < b_panels
                        ? Ahead(b + (q + 1) * stride + k * kStepBytes, count * kStepBytes, calls)
                        : Ahead(b + after * kStepBytes, count_after * kStepBytes, calls);
      for (std::int64_t p = 0; p < a_panels; ++p)
        for (int r = 0; r < kPanel; r += rows_a_call) {
          ahead.fetch();
          micro(reinterpret_cast<const Value*>(a + p * stride) + k * kPanel + r,
                reinterpret_cast<const Value*>(b + q * stride) + k * kPanel, count, k == 0,
                tile + (p * kPanel + r) * ld + q * kPanel, ld);
        }
    }
  }
}

}  // namespace
