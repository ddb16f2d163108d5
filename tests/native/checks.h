// What every native test uses: failures that name the seed and the case, random numbers, a main().
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <initializer_list>
#include <random>
#include <stdexcept>
#include <string>

namespace native {

using Index = std::int64_t;

inline std::uint64_t seed = 0;
inline std::string doing;  // the case at hand

inline void check(bool right, const std::string& what) {
  if (!right) throw std::runtime_error(what + "; seed " + std::to_string(seed) + "; " + doing);
}

// That `run` throws an error of this type with `part` in its message.
template <class Error>
void check_throws(const std::function<void()>& run, const std::string& part) {
  try {
    run();
  } catch (const Error& error) {
    check(std::string(error.what()).find(part) != std::string::npos,
          std::string("unexpected message: ") + error.what());
    return;
  }
  check(false, "no error with '" + part + "'");
}

class Random {
 public:
  explicit Random(std::uint64_t s) : engine_(s) {}
  // In [low, high].
  Index whole(Index low, Index high) {
    return std::uniform_int_distribution<Index>(low, high)(engine_);
  }
  float real(float low, float high) {
    return std::uniform_real_distribution<float>(low, high)(engine_);
  }
  double normal() { return normal_(engine_); }
  template <class T>
  T of(std::initializer_list<T> choices) {
    return *(choices.begin() + whole(0, static_cast<Index>(choices.size()) - 1));
  }

 private:
  std::mt19937_64 engine_;
  std::normal_distribution<double> normal_;
};

// PROGRAM [rounds] [seed]: runs a test, says what failed, and returns the exit status.
inline int run_test(int argc, char** argv, const std::function<void(Random&, Index rounds)>& test) {
  const Index rounds = argc > 1 ? std::atoll(argv[1]) : 20;
  std::random_device device;
  seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10)
                  : static_cast<std::uint64_t>(device()) << 32 | device();
  Random random(seed);
  try {
    test(random, rounds);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "FAILED: %s\n", error.what());
    return 1;
  }
  std::printf("%s: all right\n", argv[0]);
  return 0;
}

}  // namespace native
