// Instruction sets: which there are, which is in use, what the processor does at its best.
#include <pybind11/stl.h>

#include <chrono>
#include <optional>
#include <vector>

#include "bindings/bindings.h"
#include "simd/dispatch.h"

namespace py = pybind11;

namespace ilo {

namespace {

// Operations per second of the level's filter on registers, of all threads together.
double peak_flops(const std::string& simd, int n_threads, double seconds) {
  const Kernels& kernels = choose_kernels(simd);
  std::vector<double> rate(n_threads, 0.0);
  Team team(n_threads, nullptr);
  py::gil_scoped_release release;
  team.run(n_threads, [&](std::int64_t t, int) {
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    double operations = 0, elapsed = 0;
    while (elapsed < seconds) {
      operations += kernels.peak(1 << 18);
      elapsed = std::chrono::duration<double>(Clock::now() - start).count();
    }
    rate[t] = operations / elapsed;
  });
  double total = 0;
  for (const double r : rate) total += r;
  return total;
}

// StandardFloatingPoint for a block of Python, in its thread.
struct FloatingPointBlock {
  std::optional<StandardFloatingPoint> standard;
};

}  // namespace

void register_simd(py::module_& m) {
  py::class_<FloatingPointBlock>(m, "StandardFloatingPoint", py::module_local(),
                                 "Round to nearest, with gradual underflow, for a block: whatever "
                                 "mode the caller has set in this thread.")
      .def(py::init<>())
      .def("__enter__", [](FloatingPointBlock& block) { block.standard.emplace(); })
      .def("__exit__", [](FloatingPointBlock& block, const py::args&) { block.standard.reset(); });
  m.def("simd_available", &available_levels,
        "Instruction sets that this processor has and that were built, best last.");
  m.def(
      "simd_level", [] { return std::string(choose_kernels("").name); },
      "The one in use: ILO_FAST_SIMD, or the best there is.");
  m.def("peak_flops", &peak_flops, py::arg("simd") = "", py::kw_only(), py::arg("n_threads"),
        py::arg("seconds") = 0.2,
        "Operations per second of the level's filter (float32, or bfloat16 into float32) on "
        "registers alone.");
}

}  // namespace ilo
