// Which instruction sets there are, and that the one asked for is the one that runs.
//
//     ILO_FAST_EXPECTED_LEVELS="scalar neon" dispatch_test
//
// Where that is set, just these must be available, the best last.
#include "simd/dispatch.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "brute_force.h"
#include "core/errors.h"
#include "core/parallel.h"
#include "knn/graph.h"

namespace native {
namespace {

// ilo::Kernels with a count of its products.
int products = 0;
ilo::Kernels counted;
const ilo::Kernels* chosen = nullptr;

const ilo::Kernels& counting(const ilo::Kernels& kernels) {
  chosen = &kernels;
  counted = kernels;
  counted.product = [](const std::byte* a, Index a_panels, const std::byte* b, Index b_panels,
                       Index d, float* tile, Index ld) {
    ++products;
    chosen->product(a, a_panels, b, b_panels, d, tile, ld);
  };
  return counted;
}

void choose(const char* level) {
  if (level)
    setenv("ILO_FAST_SIMD", level, 1);
  else
    unsetenv("ILO_FAST_SIMD");
}

void run(Random& random, Index) {
  choose(nullptr);
  const std::vector<std::string> levels = ilo::available_levels();
  std::string have;
  for (const std::string& level : levels) have += (have.empty() ? "" : " ") + level;
  if (const char* expected = std::getenv("ILO_FAST_EXPECTED_LEVELS"))
    check(have == expected, "available: " + have + ", expected: " + expected);
  check(ilo::choose_kernels("").name == levels.back(), "the best is not the default");

  const Matrix x = make(random, "ulps of f32", 120, 33, DType::f32);
  const ilo::GraphOptions options;
  const Answer wanted = brute_force(x, x.n, all_rows(x.n), options.n_neighbors, options.metric);
  for (const std::string& level : levels) {
    doing = "ILO_FAST_SIMD=" + level;
    choose(level.c_str());
    const ilo::Kernels& kernels = ilo::choose_kernels("");
    check(kernels.name == level, std::string("it chose ") + kernels.name);
    const std::string sparse = ilo::choose_sparse_kernels("").name;
    check(level.compare(0, sparse.size(), sparse) == 0 || sparse == "avx512",
          "transcoders run on " + sparse);
    Answer got;
    got.indices.assign(x.n * options.n_neighbors, -1);
    got.distances.assign(got.indices.size(), -1);
    ilo::Team team(1, nullptr);
    team.expect(ilo::expected_work(x.n, 0));
    products = 0;
    ilo::knn_graph(x.view(), options, counting(kernels), team, nullptr, got.indices.data(),
                   got.distances.data());
    check(products > 0, "no product of its kernels was used");
    compare(got, wanted);
  }
  for (const char* level : {"avx2", "avx512", "avx512_bf16", "amx_bf16", "neon", "neon_bf16"}) {
    if (std::find(levels.begin(), levels.end(), level) != levels.end()) continue;
    doing = std::string("ILO_FAST_SIMD=") + level;
    choose(level);
    check_throws<ilo::InvalidArgument>([] { ilo::choose_kernels(""); },
                                       std::string("ILO_FAST_SIMD='") + level);
  }
  choose(nullptr);
  std::printf("available: %s\n", have.c_str());
}

}  // namespace
}  // namespace native

int main(int argc, char** argv) { return native::run_test(argc, argv, native::run); }
