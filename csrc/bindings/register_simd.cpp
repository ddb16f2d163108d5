#include <pybind11/stl.h>

#include "bindings/bindings.h"
#include "simd/dispatch.h"

namespace py = pybind11;

namespace ilo {

void register_simd(py::module_& m) {
  m.def("simd_available", &available_levels,
        "Instruction sets that this processor has and that were built, best last.");
  m.def(
      "simd_level", [] { return std::string(choose_kernels("").name); },
      "The one in use: ILO_FAST_SIMD, or the best there is.");
}

}  // namespace ilo
