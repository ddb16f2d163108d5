// The extension module ilo_fast._core_testing: the engines with every switch that tests need.
#include "bindings/bindings.h"

namespace ilo {
void register_testing_knn(pybind11::module_& m);
void register_testing_cuda(pybind11::module_& m);
}  // namespace ilo

PYBIND11_MODULE(_core_testing, m) {
  m.doc() = "For the tests of ilo_fast: emulators, looks inside, forced failures.";
  ilo::register_exceptions();
  ilo::register_testing_knn(m);
  ilo::register_testing_cuda(m);
}
