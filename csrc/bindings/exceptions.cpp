// Errors of the core as ValueError.
#include "bindings/bindings.h"
#include "core/errors.h"

namespace ilo {

void register_exceptions() {
  pybind11::register_local_exception_translator([](std::exception_ptr error) {
    try {
      if (error) std::rethrow_exception(error);
    } catch (const BadRow& e) {
      // A ValueError that also says which row and layer, for callers that can name it better.
      pybind11::object error = pybind11::handle(PyExc_ValueError)(e.what());
      error.attr("row") = e.row;
      error.attr("layer") = e.layer;
      error.attr("problem") = e.problem;
      PyErr_SetObject(PyExc_ValueError, error.ptr());
    } catch (const InvalidArgument& e) {
      PyErr_SetString(PyExc_ValueError, e.what());
    }
  });
}

}  // namespace ilo
