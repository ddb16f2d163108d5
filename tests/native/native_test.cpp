// The core without Python, on fresh random data, against a brute force that is slow and obvious.
//
//     native_test [rounds] [seed]
//
// For the sanitizers and for emulated processors: run.sh builds and runs it under each. Every kind
// of data meets every instruction set, several threads, superblocks, widening and queries.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <limits>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/errors.h"
#include "core/matrix_view.h"
#include "core/parallel.h"
#include "cuda/device.h"
#include "cuda/on_cpu/controls.h"
#include "knn/graph.h"
#include "overlap/overlap.h"
#include "simd/dispatch.h"

namespace {

using ilo::DType;
using ilo::Metric;
using Index = std::int64_t;

std::uint64_t seed = 0;
std::string doing;  // what to print if it fails

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what + "; seed " + std::to_string(seed) + "; " + doing);
}
void check(bool right, const std::string& what) {
  if (!right) fail(what);
}

class Random {
 public:
  explicit Random(std::uint64_t s) : engine_(s) {}
  // In [low, high].
  Index whole(Index low, Index high) {
    return std::uniform_int_distribution<Index>(low, high)(engine_);
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

// ---- data

// n rows of d values of any of the four types, in memory of exactly that size.
struct Matrix {
  Index n = 0, d = 0;
  DType dtype = DType::f32;
  std::vector<std::byte> bytes;
  std::vector<double> values;  // what the bytes say

  const double* row(Index i) const { return &values[i * d]; }
  ilo::MatrixView view() const {
    ilo::MatrixView out;
    out.d = d;
    out.dtype = dtype;
    out.col_stride = static_cast<std::ptrdiff_t>(ilo::size_of(dtype));
    for (Index i = 0; i < n; ++i) out.rows.push_back(&bytes[i * d * out.col_stride]);
    return out;
  }
};

double from_half(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double size =
      exponent ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24);
  return bits & 0x8000 ? -size : size;
}
// Any half that is near: which one does not matter, as long as both sides mean the same.
std::uint16_t to_half(double value) {
  const double size = std::min(std::fabs(value), 65504.0);
  int exponent = size < 0x1p-14 ? -14 : std::ilogb(size);
  int fraction = static_cast<int>(std::ldexp(size, 10 - exponent));
  const int bits = size < 0x1p-14 ? fraction : (exponent + 15) << 10 | (fraction & 1023);
  return static_cast<std::uint16_t>(bits | (value < 0 ? 0x8000 : 0));
}

Matrix stored(const std::vector<double>& values, Index n, Index d, DType dtype) {
  Matrix m;
  m.n = n, m.d = d, m.dtype = dtype;
  const std::size_t size = ilo::size_of(dtype);
  m.bytes.resize(values.size() * size);
  m.values.resize(values.size());
  for (std::size_t v = 0; v < values.size(); ++v) {
    std::byte* to = &m.bytes[v * size];
    if (dtype == DType::f64) {
      m.values[v] = values[v];
      std::memcpy(to, &m.values[v], 8);
      continue;
    }
    if (dtype == DType::f16) {
      const std::uint16_t half = to_half(values[v]);
      m.values[v] = from_half(half);
      std::memcpy(to, &half, 2);
      continue;
    }
    auto single = static_cast<float>(values[v]);
    std::uint32_t bits;
    std::memcpy(&bits, &single, 4);
    if (dtype == DType::bf16) {
      bits &= 0xffff0000u;
      const auto high = static_cast<std::uint16_t>(bits >> 16);
      std::memcpy(to, &high, 2);
    } else {
      std::memcpy(to, &bits, 4);
    }
    std::memcpy(&single, &bits, 4);
    m.values[v] = single;
  }
  return m;
}

const char* const kKinds[] = {"isotropic",
                              "common component",
                              "massive dimensions",
                              "duplicates",
                              "identical",
                              "ulps of bf16",
                              "ulps of f32",
                              "ulps of f64",
                              "grid",
                              "clusters",
                              "tight clusters",
                              "one outlier",
                              "flushed",
                              "tiny",
                              "huge"};

Matrix make(Random& random, const std::string& kind, Index n, Index d, DType dtype) {
  std::vector<double> values(n * d), common(d);
  for (double& v : values) v = random.normal();
  for (double& v : common) v = random.normal();
  const auto at = [&](Index i, Index k) -> double& { return values[i * d + k]; };
  const auto change = [&](auto&& f) {
    for (Index i = 0; i < n; ++i)
      for (Index k = 0; k < d; ++k) at(i, k) = f(at(i, k), i, k);
  };
  // Every row is made of one of a few points.
  std::vector<double> points(5 * d);
  for (double& v : points) v = random.normal();
  std::vector<Index> point(n);
  for (Index& p : point) p = random.whole(0, 4);
  const auto near = [&](Index i, Index k) { return points[point[i] * d + k]; };
  const auto ulps = [&](int bits) {
    change([&](double, Index i, Index k) {
      return near(i, k) * (1 + std::ldexp(static_cast<double>(random.whole(-2, 2)), 1 - bits));
    });
  };
  if (kind == "common component") {
    const double size = random.of({1e2, 1e4, 1e6});
    change([&](double v, Index, Index k) { return v + size * common[k]; });
  } else if (kind == "massive dimensions") {
    change([&](double v, Index, Index k) { return k < 2 ? 400 * v : v; });
  } else if (kind == "duplicates") {
    for (Index i = 1; i < n; ++i)
      if (random.whole(0, 1)) std::copy_n(&values[random.whole(0, i - 1) * d], d, &at(i, 0));
  } else if (kind == "identical") {
    change([&](double, Index, Index k) { return common[k] + 0.25; });
  } else if (kind == "ulps of bf16") {
    ulps(8);
  } else if (kind == "ulps of f32") {
    ulps(24);
  } else if (kind == "ulps of f64") {
    ulps(53);
  } else if (kind == "grid") {
    change([&](double, Index, Index) { return static_cast<double>(random.whole(-2, 2)) + 0.5; });
  } else if (kind == "clusters" || kind == "tight clusters") {
    const double spread = kind == "clusters" ? 1e-2 : 1e-7;
    change([&](double v, Index i, Index k) { return near(i, k) + spread * v; });
  } else if (kind == "one outlier") {
    change([&](double v, Index i, Index) { return i == n / 2 ? 1e4 * v : v; });
  } else if (kind == "flushed") {  // below what bf16 units count, but for one row
    change([&](double v, Index i, Index) {
      return i == n / 2 ? v : std::ldexp(v, static_cast<int>(-random.whole(110, 126)));
    });
  } else if (kind == "tiny" || kind == "huge") {
    const double size = kind == "tiny" ? 1e-30 : 1e30;
    change([&](double v, Index, Index) { return v * size; });
  }
  Matrix m = stored(values, n, d, dtype);
  // What a narrow type rounds to nothing has no direction.
  for (Index i = 0; i < n; ++i)
    if (std::all_of(m.row(i), m.row(i) + d, [](double v) { return v == 0; })) at(i, 0) = 1;
  return stored(values, n, d, dtype);
}

// ---- the answer

// In the order that the definition asks for: 16 strided partial sums, added pairwise.
template <class Term>
double lane_sum(Index d, Term&& term) {
  double lanes[16] = {};
  for (Index k = 0; k < d; ++k) lanes[k % 16] += term(k);
  for (int width = 8; width; width /= 2)
    for (int l = 0; l < width; ++l) lanes[l] += lanes[l + width];
  return lanes[0];
}

struct Answer {
  std::vector<Index> indices;
  std::vector<float> distances;
};

// The k nearest of the first n_base rows, for every row in `queries`, itself left out.
Answer brute_force(const Matrix& x, Index n_base, const std::vector<Index>& queries, Index k,
                   Metric metric) {
  std::vector<double> u = x.values;
  if (metric == Metric::cosine)
    for (Index i = 0; i < x.n; ++i) {
      double* row = &u[i * x.d];
      const double norm = std::sqrt(lane_sum(x.d, [&](Index c) { return row[c] * row[c]; }));
      for (Index c = 0; c < x.d; ++c) row[c] /= norm;
    }
  Answer out;
  for (const Index q : queries) {
    std::vector<std::pair<double, Index>> all;
    for (Index j = 0; j < n_base; ++j) {
      if (j == q) continue;
      const double* a = &u[q * x.d];
      const double* b = &u[j * x.d];
      all.emplace_back(lane_sum(x.d, [&](Index c) { return (a[c] - b[c]) * (a[c] - b[c]); }), j);
    }
    std::sort(all.begin(), all.end());
    for (Index p = 0; p < k; ++p) {
      out.indices.push_back(all[p].second);
      out.distances.push_back(static_cast<float>(
          metric == Metric::cosine ? 0.5 * all[p].first : std::sqrt(all[p].first)));
    }
  }
  return out;
}

std::vector<Index> all_rows(Index n) {
  std::vector<Index> rows(n);
  for (Index i = 0; i < n; ++i) rows[i] = i;
  return rows;
}

void compare(const Answer& got, const Answer& wanted) {
  check(got.indices == wanted.indices, "wrong neighbours");
  for (std::size_t p = 0; p < wanted.distances.size(); ++p)
    check(std::fabs(got.distances[p] - wanted.distances[p]) <= 3e-7f * wanted.distances[p],
          "wrong distance");
}

// ---- the engine

std::vector<std::string> levels() {
  std::vector<std::string> names = ilo::available_levels();
  names.emplace_back("amx_bf16_emulated");
  return names;
}

Answer graph(const Matrix& x, const std::string& level, const ilo::GraphOptions& options,
             int n_threads, const std::vector<Index>* queries, ilo::Monitor* monitor,
             ilo::GraphInfo* info = nullptr) {
  const Index n_out = queries ? static_cast<Index>(queries->size()) : x.n;
  Answer out;
  out.indices.assign(n_out * options.n_neighbors, -1);
  out.distances.assign(out.indices.size(), -1);
  ilo::Team team(n_threads, monitor);
  team.expect(ilo::expected_work(options.n_base > 0 ? options.n_base : x.n, queries ? n_out : 0));
  const ilo::GraphInfo got = ilo::knn_graph(x.view(), options, ilo::choose_kernels(level), team,
                                            queries, out.indices.data(), out.distances.data());
  if (info) *info = got;
  return out;
}

// One set of data through one instruction set, on one path.
void one_graph(Random& random, const std::string& kind, const std::string& level) {
  const DType dtype = random.of({DType::f16, DType::bf16, DType::f32, DType::f64});
  const Index n = random.whole(2, 180), d = random.of<Index>({1, 2, 15, 16, 33, 70, 300});
  const int n_threads = static_cast<int>(random.whole(1, 4));
  const Matrix x = make(random, kind, n, d, dtype);
  ilo::GraphOptions options;
  options.metric = random.of({Metric::euclidean, Metric::cosine});
  options.n_neighbors = std::min<Index>(n - 1, random.of<Index>({1, 5, 40, n - 1}));
  options.block_rows = random.of<Index>({0, 16, 48, 64});
  if (random.whole(0, 2) == 0) options.max_memory = 1;
  if (random.whole(0, 2) == 0) options.max_candidates = 1;
  options.force_fallback = random.whole(0, 3) == 0;
  const auto describe = [&](const char* what) {
    std::ostringstream text;
    text << kind << ", " << level << ", " << what << ", n=" << n << ", d=" << d << ", dtype "
         << static_cast<int>(dtype)
         << (options.metric == Metric::cosine ? ", cosine" : ", euclidean")
         << ", n_base=" << options.n_base << ", k=" << options.n_neighbors
         << ", block_rows=" << options.block_rows << ", max_memory=" << options.max_memory
         << ", max_candidates=" << options.max_candidates
         << ", force_fallback=" << options.force_fallback << ", n_threads=" << n_threads;
    doing = text.str();
  };

  describe("all pairs");
  ilo::GraphInfo info;
  compare(graph(x, level, options, n_threads, nullptr, nullptr, &info),
          brute_force(x, n, all_rows(n), options.n_neighbors, options.metric));
  check(info.certified_rows + info.fallback_rows == n, "rows neither certified nor widened");
  if (options.force_fallback && info.unique_rows > 1)
    check(info.fallback_rows == n, "widening was not forced");

  // Of some rows, in any order, the neighbours among the first n_base.
  options.n_base = random.whole(2, n);
  options.n_neighbors = std::min(options.n_neighbors, options.n_base - 1);
  std::vector<Index> queries = all_rows(n);
  std::shuffle(queries.begin(), queries.end(), std::mt19937_64(random.whole(0, 1 << 30)));
  queries.resize(random.whole(1, n));
  describe("queries");
  compare(graph(x, level, options, n_threads, &queries, nullptr, &info),
          brute_force(x, options.n_base, queries, options.n_neighbors, options.metric));
  check(info.certified_rows + info.fallback_rows == static_cast<Index>(queries.size()),
        "queries neither certified nor widened");
}

// One set of data through the engine for GPUs, on its stand-in: in the order of one of many
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
  text << kind << ", on the stand-in, n=" << n << ", n_base=" << input.n_base << ", d=" << input.d
       << ", layers " << n_layers << ", dtype " << static_cast<int>(input.dtype)
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
  check(!ilo::emulated::problem_pending(), "the stand-in has something to say");
  for (Index h = 0; h < n_layers; ++h) {
    std::vector<Index> queries = all_rows(n);
    if (!all_pairs) queries.erase(queries.begin(), queries.begin() + input.n_base);
    const Answer got{{indices.begin() + h * size, indices.begin() + (h + 1) * size},
                     {distances.begin() + h * size, distances.begin() + (h + 1) * size}};
    compare(got,
            brute_force(layers[h], input.n_base, queries, options.n_neighbors, options.metric));
    check(infos[h].certified_rows + infos[h].fallback_rows == input.n_queries(),
          "rows neither certified nor widened");
  }
}

struct Interrupt {};

// Throws at its n-th look.
struct Impatient : ilo::Monitor {
  explicit Impatient(int n) : looks_left(n) {}
  void poll(double share) override {
    if (!(share >= 0 && share <= 1)) std::abort();
    if (--looks_left <= 0) throw Interrupt();
  }
  int looks_left;
};

// Stopped at any look; then a right answer, with what a checkpoint kept or without.
int interrupts(Random& random, const std::string& level) {
  int stopped = 0;
  const Matrix x =
      make(random, "isotropic", level == "amx_bf16_emulated" ? 1500 : 3000, 256, DType::f32);
  const std::vector<Index> some{0, 1234, x.n - 1};
  ilo::GraphOptions options;
  const Answer wanted = brute_force(x, x.n, some, options.n_neighbors, options.metric);
  const auto file = std::filesystem::temp_directory_path() /
                    ("ilo-native-test-" + std::to_string(getpid()) + "-" + std::to_string(seed));
  for (int looks = 1; looks <= 4; ++looks) {
    doing = "interrupts, " + level + ", look " + std::to_string(looks);
    options.force_fallback = looks == 2;
    options.max_memory = looks >= 3 ? 1 : ilo::GraphOptions().max_memory;
    options.checkpoint = looks == 4 ? file.string() : "";
    options.checkpoint_seconds = 0;
    Impatient monitor(looks);
    Answer got;
    ilo::GraphInfo info;
    try {
      got = graph(x, level, options, looks % 2 ? 1 : 3, nullptr, &monitor);
    } catch (const Interrupt&) {
      ++stopped;
      got = graph(x, level, options, 2, nullptr, nullptr, &info);
      check(info.problem.empty(), info.problem);
    }
    Answer sampled;
    for (const Index row : some)
      for (Index p = row * options.n_neighbors; p < (row + 1) * options.n_neighbors; ++p) {
        sampled.indices.push_back(got.indices[p]);
        sampled.distances.push_back(got.distances[p]);
      }
    compare(sampled, wanted);
    if (options.checkpoint.empty()) continue;
    compare(graph(x, level, options, 1, nullptr, nullptr, &info), got);
    check(info.resumed_share == 1, "a finished graph was not kept");
    std::filesystem::remove(file);
  }
  return stopped;
}

void callers_in_several_threads(Random& random) {
  const Matrix x = make(random, "duplicates", 150, 24, DType::f32);
  ilo::GraphOptions options;
  const Answer wanted = brute_force(x, x.n, all_rows(x.n), options.n_neighbors, options.metric);
  doing = "callers in several threads";
  const std::vector<std::string> names = levels();
  std::vector<Answer> answers(2 * names.size());
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < answers.size(); ++t)
    threads.emplace_back([&, t] {
      ilo::GraphOptions own = options;
      own.force_fallback = t % 2;
      answers[t] = graph(x, names[t / 2], own, 2, nullptr, nullptr);
    });
  for (std::thread& thread : threads) thread.join();
  for (const Answer& answer : answers) compare(answer, wanted);
}

// A task's exception comes out, and the rest is not begun.
void errors(Random& random) {
  doing = "errors";
  ilo::Team team(3, nullptr);
  bool caught = false;
  try {
    team.run(1000, [](Index task, int) {
      if (task == 5) throw Interrupt();
    });
  } catch (const Interrupt&) {
    caught = true;
  }
  check(caught, "a task's exception was lost");
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), 0.0}) {
    Matrix x = make(random, "isotropic", 70, 9, DType::f64);
    for (Index k = 0; k < 9; ++k) std::memcpy(&x.bytes[(61 * 9 + k) * 8], &bad, 8);
    caught = false;
    try {
      graph(x, "", {}, 2, nullptr, nullptr);
    } catch (const ilo::BadRow& error) {
      caught = error.row == 61;
    }
    check(caught, "a bad row was not named");
  }
}

void one_overlap(Random& random) {
  ilo::OverlapInput in{};
  in.n_layers = random.whole(1, 4);
  in.n = random.whole(10, 300);
  in.k = random.whole(1, 9);
  in.n_languages = static_cast<std::int32_t>(random.of<Index>({2, 5, 64, 65, 130}));
  in.n = std::max<Index>(in.n, in.n_languages);
  in.threshold = random.whole(1, 4);
  std::vector<Index> indices(in.n_layers * in.n * in.k), sentences(in.n);
  std::vector<std::int32_t> languages(in.n);
  for (Index& j : indices) j = random.whole(0, in.n - 1);
  for (Index i = 0; i < in.n; ++i) {
    languages[i] = static_cast<std::int32_t>(i % in.n_languages);
    sentences[i] = i / in.n_languages;
  }
  in.indices = indices.data(), in.languages = languages.data(), in.sentences = sentences.data();
  const Index size = in.n_layers * in.n_languages;
  std::vector<double> bridge(size), reach(size), ilo(size), share(size);
  ilo::Team team(static_cast<int>(random.whole(1, 4)), nullptr);
  ilo::overlap(in, {bridge.data(), reach.data(), ilo.data(), share.data()}, team);

  doing = "overlap";
  const auto near = [](double a, double b) { return std::fabs(a - b) <= 1e-12; };
  for (Index layer = 0; layer < in.n_layers; ++layer)
    for (std::int32_t own = 0; own < in.n_languages; ++own) {
      std::vector<bool> reached(in.n_languages, false);
      double points = 0, bridging = 0, translations = 0;
      for (Index i = 0; i < in.n; ++i) {
        if (languages[i] != own) continue;
        std::vector<bool> others(in.n_languages, false);
        for (Index p = 0; p < in.k; ++p) {
          const Index j = indices[(layer * in.n + i) * in.k + p];
          if (languages[j] == own) continue;
          others[languages[j]] = reached[languages[j]] = true;
          translations += sentences[i] == sentences[j];
        }
        bridging += std::count(others.begin(), others.end(), true) >= in.threshold;
        ++points;
      }
      const double b = bridging / points;
      const double r = static_cast<double>(std::count(reached.begin(), reached.end(), true)) /
                       (in.n_languages - 1);
      const Index at = layer * in.n_languages + own;
      check(near(bridge[at], b) && near(reach[at], r), "wrong bridge or reach");
      check(near(ilo[at], b + r > 0 ? 2 * b * r / (b + r) : 0), "wrong overlap");
      check(near(share[at], translations / (points * static_cast<double>(in.k))),
            "wrong share of translations");
    }
}

void run(Index rounds) {
  Random random(seed);
  for (const std::string& level : levels()) {
    for (Index round = 0; round < rounds; ++round)
      for (const char* kind : kKinds) one_graph(random, kind, level);
    const int stopped = interrupts(random, level);
    std::printf("%s: right; stopped %d times on the way\n", level.c_str(), stopped);
    std::fflush(stdout);
  }
  for (Index round = 0; round < rounds; ++round)
    for (const char* kind : kKinds) one_graph_on_device(random, kind);
  std::printf("the engine for GPUs, on its stand-in: right\n");
  std::fflush(stdout);
  callers_in_several_threads(random);
  errors(random);
  for (Index round = 0; round < 5 * rounds; ++round) one_overlap(random);
}

}  // namespace

int main(int argc, char** argv) {
  const Index rounds = argc > 1 ? std::atoll(argv[1]) : 20;
  std::random_device device;
  seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10)
                  : static_cast<std::uint64_t>(device()) << 32 | device();
  try {
    run(rounds);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "FAILED: %s\n", error.what());
    return 1;
  }
  std::printf("all right\n");
}
