#include "bindings/bindings.h"
#include "core/errors.h"

PYBIND11_MODULE(_core, m) {
  m.doc() = "C++ core of ilo_fast. Use ilo_fast.knn_graph and ilo_fast.overlap.";
  pybind11::register_exception_translator([](std::exception_ptr error) {
    try {
      if (error) std::rethrow_exception(error);
    } catch (const ilo::BadRow& e) {
      // A ValueError that also says which row and layer, for callers that can name it better.
      pybind11::object error = pybind11::handle(PyExc_ValueError)(e.what());
      error.attr("row") = e.row;
      error.attr("layer") = e.layer;
      error.attr("problem") = e.problem;
      PyErr_SetObject(PyExc_ValueError, error.ptr());
    } catch (const ilo::InvalidArgument& e) {
      PyErr_SetString(PyExc_ValueError, e.what());
    }
  });
  ilo::register_simd(m);
  ilo::register_knn(m);
  ilo::register_overlap(m);
  ilo::register_cuda(m);
}
