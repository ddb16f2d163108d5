// One call for a part of a graph on the CPU, as both extension modules bind it.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string>
#include <vector>

#include "knn/graph.h"
#include "knn/kernels/kernels.h"

namespace ilo {

// Neighbours and squared distances of the rows of `first` and of `second`, numbered from 0 in the
// other; of `first` among itself, and None twice, where `second` is empty. Then the info. A BadRow
// numbers the rows of `second` after those of `first`.
pybind11::tuple call_knn_tile(const std::vector<pybind11::array>& first,
                              const std::vector<pybind11::array>& second, const std::string& dtype,
                              GraphOptions options, const Kernels& kernels, int n_threads,
                              pybind11::object progress);

}  // namespace ilo
