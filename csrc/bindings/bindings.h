// What the sources of the extension modules share: one register_*.cpp per noun, which checks
// arguments and releases the interpreter lock, nothing else.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <optional>

#include "core/parallel.h"

namespace ilo {

void register_exceptions();  // of the module that calls it
void register_simd(pybind11::module_& m);
void register_knn(pybind11::module_& m);
void register_partitioned(pybind11::module_& m);
void register_tile(pybind11::module_& m);
void register_merge(pybind11::module_& m);
void register_overlap(pybind11::module_& m);
void register_deletions(pybind11::module_& m);
void register_communities(pybind11::module_& m);
void register_set_overlap(pybind11::module_& m);
void register_layout(pybind11::module_& m);
void register_ranks(pybind11::module_& m);
void register_sparse(pybind11::module_& m);
void register_features(pybind11::module_& m);
void register_sharing(pybind11::module_& m);
void register_cuda(pybind11::module_& m);

// Lets Python look for Ctrl-C, and tells it the finished share, while the core works.
class PythonMonitor : public Monitor {
 public:
  // progress: None, or a callable that takes the finished share in [0, 1].
  explicit PythonMonitor(pybind11::object progress) : progress_(std::move(progress)) {}
  void poll(double done_share) override {
    // A daemon thread may still be here when the interpreter goes: it must not ask for the lock
    // then.
#if PY_VERSION_HEX >= 0x030D0000
    if (Py_IsFinalizing()) return;
#else
    if (_Py_IsFinalizing()) return;
#endif
    pybind11::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw pybind11::error_already_set();
    if (!progress_.is_none()) progress_(done_share);
  }

 private:
  pybind11::object progress_;
};

}  // namespace ilo
