// The emulator's cuda/cublaslt.h, first on the include path: the same product in plain loops.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "cuda/half.h"
#include "cuda/platform.h"

namespace ilo::gpu {

constexpr const char* kNoLibrary = "none";

__global__ inline void plain_product(const std::uint16_t* a, std::int64_t lda, int n_a,
                                     const std::uint16_t* b, std::int64_t ldb, int n_b,
                                     std::int64_t d, float* tile, std::int64_t ld) {
  std::vector<float> columns(static_cast<std::size_t>(d) * n_b);  // [d][n_b]
  for (std::int64_t j = 0; j < n_b; ++j)
    for (std::int64_t k = 0; k < d; ++k) columns[k * n_b + j] = half_to_float(b[j * ldb + k]);
  for (std::int64_t i = 0; i < n_a; ++i) {
    float* const out = tile + i * ld;
    std::fill(out, out + n_b, 0.0f);
    for (std::int64_t k = 0; k < d; ++k) {
      const float value = half_to_float(a[i * lda + k]);
      for (std::int64_t j = 0; j < n_b; ++j) out[j] += value * columns[k * n_b + j];
    }
  }
}

// As a path: products without their last 64 terms.
constexpr const char* kBrokenLibrary = "broken";

class LibraryProduct {
 public:
  explicit LibraryProduct(const std::string& path)
      : available_(path != kNoLibrary), is_broken_(path == kBrokenLibrary) {
    if (!available_) problem_ = "not looked for";
  }
  LibraryProduct(const LibraryProduct&) = delete;
  LibraryProduct& operator=(const LibraryProduct&) = delete;

  bool available() const { return available_; }
  const std::string& problem() const { return problem_; }
  std::string name() const { return "plain product"; }

  void product(cudaStream_t stream, const std::uint16_t* a, std::int64_t lda, int n_a,
               const std::uint16_t* b, std::int64_t ldb, int n_b, std::int64_t d, float* tile,
               std::int64_t ld) {
    if (n_a <= 0 || n_b <= 0) return;
    launch(stream, dim3(1), dim3(1), 0, plain_product, a, lda, n_a, b, ldb, n_b,
           is_broken_ ? d - 64 : d, tile, ld);
  }

 private:
  bool available_, is_broken_;
  std::string problem_;
};

}  // namespace ilo::gpu
