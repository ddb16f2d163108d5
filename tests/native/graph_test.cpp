// The exact engine on the CPU, on fresh random data, against brute force.
//
//     graph_test [rounds] [seed]
//
// Every kind of data meets every instruction set, several threads, superblocks, fallback and
// queries.
#include "knn/graph.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "brute_force.h"
#include "core/errors.h"
#include "core/parallel.h"
#include "simd/dispatch.h"
#include "testing/amx_bf16_emulated.h"

namespace native {
namespace {

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
  const ilo::GraphInfo got =
      ilo::knn_graph(x.view(), options, ilo::choose_testing_kernels(level), team, queries,
                     out.indices.data(), out.distances.data());
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
  check(info.certified_rows + info.fallback_rows == n,
        "rows neither certified nor decided in the fallback");
  if (options.force_fallback && info.unique_rows > 1)
    check(info.fallback_rows == n, "the fallback was not forced");

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
        "queries neither certified nor decided in the fallback");
}

struct Interrupt {};

// Sanitized and emulated code is slow: less work is met by as many looks.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(ILO_EMULATED)
constexpr bool slow = true;
#else
constexpr bool slow = false;
#endif

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
  const Index n = level == "amx_bf16_emulated" ? 1500 : 3000;
  const Matrix x = make(random, "isotropic", slow ? n / 4 : n, 256, DType::f32);
  const std::vector<Index> some{0, x.n / 3, x.n - 1};
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

void run(Random& random, Index rounds) {
  for (const std::string& level : levels()) {
    for (Index round = 0; round < rounds; ++round)
      for (const char* kind : kinds) one_graph(random, kind, level);
    const int stopped = interrupts(random, level);
    // A fast processor may be through before anybody looks; with these none is.
    if (level == "scalar" || level == "amx_bf16_emulated")
      check(stopped > 0, "no interrupt met the work");
    std::printf("%s: right; stopped %d times on the way\n", level.c_str(), stopped);
    std::fflush(stdout);
  }
  callers_in_several_threads(random);
  errors(random);
}

}  // namespace
}  // namespace native

int main(int argc, char** argv) { return native::run_test(argc, argv, native::run); }
