// Instruction sets: which there are, which is in use, what the processor does at its best.
#include <pybind11/stl.h>

#include <chrono>
#include <vector>

#include "bindings/arguments.h"
#include "bindings/bindings.h"
#include "simd/dispatch.h"

namespace py = pybind11;

namespace ilo {

namespace {

// Operations per second of the level's filter on registers, of all threads together.
double peak_flops(const std::string& simd, int n_threads, double seconds) {
  check_threads(n_threads);
  if (!(seconds > 0) || seconds > 60)
    throw InvalidArgument(text("seconds=", seconds, ", wanted above 0 and at most 60"));
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

void restore_floating_point(std::uint64_t mode) {
  if (!StandardFloatingPoint::may_be(mode))
    throw InvalidArgument(text(
        "mode=", mode, " is none of this processor: pass what use_standard_floating_point() gave"));
  StandardFloatingPoint::restore(mode);
}

}  // namespace

void register_simd(py::module_& m) {
  m.def("use_standard_floating_point", &StandardFloatingPoint::use,
        "Round to nearest, with gradual underflow, from now on in this thread; the mode before.");
  m.def("restore_floating_point", &restore_floating_point, py::arg("mode"),
        "The mode that use_standard_floating_point() gave.");
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
