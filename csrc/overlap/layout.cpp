#include "overlap/layout.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

namespace ilo {

namespace {

constexpr float kLongestStep = 4.0f;  // of a coordinate, before the rate: close points push hard
constexpr float kGravity = 0.001f;    // towards the middle, so that islands do not drift away
constexpr float kSoftening = 0.001f;  // of the push between points in one place

// SplitMix64 (Steele, Lea and Flood 2014).
class RandomPoints {
 public:
  explicit RandomPoints(std::uint64_t seed) : state_(seed) {}

  // In [0, end), where end < 2^32; even up to one part in 2^32.
  std::int64_t below(std::int64_t end) {
    std::uint64_t x = state_ += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    x ^= x >> 31;
    return static_cast<std::int64_t>(((x >> 32) * static_cast<std::uint64_t>(end)) >> 32);
  }

 private:
  std::uint64_t state_;
};

float limited(float step) { return std::min(kLongestStep, std::max(-kLongestStep, step)); }

}  // namespace

void lay_out(const LayoutInput& in, float* positions, Monitor& monitor) {
  RandomPoints random(in.seed);
  std::vector<std::int32_t> order(in.n);
  std::iota(order.begin(), order.end(), 0);
  for (std::int64_t last = in.n - 1; last > 0; --last)
    std::swap(order[last], order[random.below(last + 1)]);

  for (std::int64_t epoch = 0; epoch < in.n_epochs; ++epoch) {
    monitor.poll(static_cast<double>(epoch) / static_cast<double>(in.n_epochs));
    const float rate = 1.0f - static_cast<float>(epoch) / static_cast<float>(in.n_epochs);
    for (const std::int32_t i : order) {
      float* const here = positions + 2 * static_cast<std::int64_t>(i);
      for (std::int64_t link = 0; link < in.k; ++link) {
        float* const there = positions + 2 * static_cast<std::int64_t>(in.indices[i * in.k + link]);
        const float x = there[0] - here[0], y = there[1] - here[1];
        const float pull = 2.0f * rate / (1.0f + x * x + y * y);
        here[0] += limited(x) * pull, here[1] += limited(y) * pull;
        there[0] -= limited(x) * pull, there[1] -= limited(y) * pull;
        here[0] -= rate * kGravity * here[0], here[1] -= rate * kGravity * here[1];
        for (std::int64_t push = 0; push < in.n_pushes; ++push) {
          const float* const other = positions + 2 * random.below(in.n);
          const float dx = here[0] - other[0], dy = here[1] - other[1];
          const float square = dx * dx + dy * dy;
          const float away = 2.0f / ((kSoftening + square) * (1.0f + square));
          here[0] += rate * limited(dx * away), here[1] += rate * limited(dy * away);
        }
      }
    }
  }
}

}  // namespace ilo
