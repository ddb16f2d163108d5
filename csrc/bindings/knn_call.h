// One call of the exact engine on the CPU, as both extension modules bind it.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "knn/graph.h"
#include "knn/kernels/kernels.h"

namespace ilo {

using Queries = std::optional<std::vector<std::int64_t>>;

// The rows of one layer of (layers, n, d) arrays, one array after the other.
MatrixView layer_view(const std::vector<pybind11::array>& arrays, const std::string& dtype,
                      std::int64_t layer);

// Indices, distances, the info of every layer, and the name of the kernels.
pybind11::tuple call_knn_graph(const std::vector<pybind11::array>& arrays, const std::string& dtype,
                               GraphOptions options, const Kernels& kernels, int n_threads,
                               const Queries& queries, pybind11::object progress,
                               const std::string& checkpoint_folder,
                               std::chrono::milliseconds interval = std::chrono::milliseconds(50));

}  // namespace ilo
