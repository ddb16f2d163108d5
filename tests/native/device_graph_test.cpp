// The engine for GPUs on the CUDA emulator, on fresh random data, against brute force.
//
//     device_graph_test [rounds] [seed]
#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "brute_force.h"
#include "core/parallel.h"
#include "testing/cuda_emulator/controls.h"
#include "testing/cuda_engines.h"

namespace native {
namespace {

// One set of data in the order of one of many
// devices, with rows in the device's memory or in the host's, and now and then without memory.
void one_graph_on_device(Random& random, const std::string& kind) {
  ilo::DeviceInput input;
  input.dtype = random.of({DType::f16, DType::bf16, DType::f32, DType::f64});
  const Index n = random.whole(2, 150), n_layers = random.whole(1, 3);
  input.d = random.of<Index>({1, 2, 15, 16, 33, 70, 200});
  input.n_layers = n_layers;
  input.n_base = random.whole(0, 2) ? n : random.whole(2, n);
  input.col_stride = static_cast<std::ptrdiff_t>(ilo::size_of(input.dtype));
  std::vector<Matrix> layers;
  Matrix all;  // one layer after another
  for (Index h = 0; h < n_layers; ++h) {
    layers.push_back(make(random, kind, n, input.d, input.dtype));
    all.bytes.insert(all.bytes.end(), layers[h].bytes.begin(), layers[h].bytes.end());
  }
  const std::ptrdiff_t row_stride = input.d * input.col_stride;
  const bool on_device = random.whole(0, 1);
  for (Index first = 0; first < n;) {  // in one array or several
    const Index count = random.whole(0, 1) ? n - first : random.whole(1, n - first);
    input.segments.push_back(
        {&all.bytes[first * row_stride], count, n * row_stride, row_stride, on_device});
    first += count;
  }
  ilo::DeviceOptions options;
  options.metric = random.of({Metric::euclidean, Metric::cosine});
  const bool all_pairs = input.n_base == n;
  const Index most = all_pairs ? n - 1 : input.n_base;
  options.n_neighbors = std::min(most, random.of<Index>({1, 5, 40, most}));
  options.product = random.of<const char*>({"library", "fused"});
  options.tile_rows = random.of<Index>({0, 64, 128});
  options.panel_rows = random.of<Index>({0, 0, 17, 64});
  options.capacity = random.of<Index>({0, 0, 1, 20});
  options.force_fallback = random.whole(0, 3) == 0;
  const Index order = random.whole(0, 1 << 20), failing = random.of<Index>({0, 0, 1, 7, 20, 45});
  std::ostringstream text;
  text << kind << ", n=" << n << ", n_base=" << input.n_base << ", d=" << input.d << ", layers "
       << n_layers << ", dtype " << static_cast<int>(input.dtype)
       << (options.metric == Metric::cosine ? ", cosine" : ", euclidean")
       << ", k=" << options.n_neighbors << ", product " << options.product
       << ", tile_rows=" << options.tile_rows << ", panel_rows=" << options.panel_rows
       << ", capacity=" << options.capacity << ", force_fallback=" << options.force_fallback
       << (on_device ? ", on the device" : ", in host memory") << ", order " << order
       << ", allocation " << failing << " fails";
  doing = text.str();

  const Index size = input.n_queries() * options.n_neighbors;
  std::vector<Index> indices(n_layers * size, -1);
  std::vector<float> distances(n_layers * size, -1);
  ilo::DeviceResult result;
  result.indices = indices.data(), result.distances = distances.data();
  ilo::Team team(1, nullptr);
  const std::size_t live = ilo::emulated::live_bytes();
  ilo::emulated::set_order(order);
  ilo::emulated::fail_allocation(static_cast<int>(failing));
  const auto infos = ilo::emulated_run(input, options, result, team);
  ilo::emulated::fail_allocation(0);
  ilo::emulated::set_order(0);
  check(ilo::emulated::live_bytes() == live, "memory of the device was not given back");
  check(!ilo::emulated::problem_pending(), "the CUDA emulator has something to say");
  for (Index h = 0; h < n_layers; ++h) {
    std::vector<Index> queries = all_rows(n);
    if (!all_pairs) queries.erase(queries.begin(), queries.begin() + input.n_base);
    const Answer got{{indices.begin() + h * size, indices.begin() + (h + 1) * size},
                     {distances.begin() + h * size, distances.begin() + (h + 1) * size}};
    compare(got,
            brute_force(layers[h], input.n_base, queries, options.n_neighbors, options.metric));
    check(infos[h].certified_rows + infos[h].fallback_rows == input.n_queries(),
          "rows neither certified nor decided in the fallback");
  }
}

void run(Random& random, Index rounds) {
  for (Index round = 0; round < rounds; ++round)
    for (const char* kind : kinds) one_graph_on_device(random, kind);
}

}  // namespace
}  // namespace native

int main(int argc, char** argv) { return native::run_test(argc, argv, native::run); }
