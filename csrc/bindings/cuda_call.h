// One call of the engine on a GPU, as both extension modules bind it.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bindings/arguments.h"
#include "core/parallel.h"
#include "cuda/device.h"

namespace ilo {

// gpu_run of cuda/device.h, or another engine with its contract.
using DeviceEngine = std::vector<DeviceInfo> (*)(const DeviceInput&, const DeviceOptions&,
                                                 const DeviceResult&, Team&);

struct DeviceCall {
  DeviceEngine engine;
  DeviceOptions options;
  int n_threads;  // of the host; they copy rows to the device
  pybind11::object progress;
  std::chrono::milliseconds interval{50};  // between two calls of progress
};

// Rows that lie in several (layers, n, d) arrays, one after the other.
DeviceInput device_input(const pybind11::sequence& segments, const std::string& dtype,
                         std::int64_t n_base);

// Indices, distances and the info of every layer.
pybind11::tuple call_cuda_knn_graph(const DeviceCall& call, const pybind11::sequence& segments,
                                    const std::string& dtype, std::int64_t n_base);

// Bridge, reach, ILO, shares of translations and of other languages, and the info of every layer.
pybind11::tuple call_cuda_overlap(const DeviceCall& call, const pybind11::sequence& segments,
                                  const std::string& dtype, const Languages& languages,
                                  const std::optional<Sentences>& sentences,
                                  std::int32_t n_languages, std::int64_t threshold);

}  // namespace ilo
