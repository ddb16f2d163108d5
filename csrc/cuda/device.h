// The contract of the engine on a GPU, as the rest of the core sees it: no CUDA in here. gpu.cu
// fulfils it where the build has a CUDA compiler, stub.cpp says what is missing elsewhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/matrix_view.h"
#include "core/parallel.h"
#include "knn/rows.h"
#include "overlap/overlap.h"

namespace ilo {

// Rows of every layer that lie in one array, in the device's memory or in the host's.
struct DeviceSegment {
  const std::byte* data;
  std::int64_t n;
  std::ptrdiff_t layer_stride, row_stride;  // bytes
  bool on_device;
};

struct DeviceInput {
  std::vector<DeviceSegment> segments;  // one after the other, as if they were one array
  std::int64_t n_layers = 0, d = 0;
  std::int64_t n_base = 0;        // rows before it are searched; others, if any, are only queries
  std::ptrdiff_t col_stride = 0;  // bytes
  DType dtype = DType::f32;

  std::int64_t n() const {
    std::int64_t count = 0;
    for (const DeviceSegment& s : segments) count += s.n;
    return count;
  }
  std::int64_t n_queries() const { return n() > n_base ? n() - n_base : n_base; }
};

struct DeviceOptions {
  std::int64_t n_neighbors = 5;
  Metric metric = Metric::cosine;
  int device = 0;
  std::uintptr_t stream = 0;    // a cudaStream_t on which the input is ready, and the work is done
  std::int64_t max_memory = 0;  // bytes on the device, beside the input; 0: most of what is free
  std::string product;          // "library" (cuBLASLt), "fused", or "": as d suggests
  std::string library;          // where cuBLASLt is, if its name alone does not find it
  // For tests, to walk every path; 0 chooses.
  std::int64_t tile_rows = 0, panel_rows = 0, capacity = 0;
  bool force_fallback = false;
};

struct DeviceInfo {  // of a layer
  std::int64_t rows = 0, queries = 0, unique_rows = 0;
  std::int64_t certified_rows = 0, fallback_rows = 0, measured_rows = 0;  // measured: against all
  std::int64_t panels = 0, tile_rows = 0, list_capacity = 0, retries = 0;
  std::int64_t late_rows = 0;  // that were still to be copied to the device when they were needed
  double candidates_per_row = 0;
  double seconds_prepare = 0, seconds_filter = 0, seconds_rerank = 0, seconds_fallback = 0;
  std::string product;
};

// Where results go: arrays of the host, each null if not wanted.
struct DeviceResult {
  std::int64_t* indices = nullptr;  // [layers][queries][k]
  float* distances = nullptr;
  const OverlapInput* overlap_input = nullptr;  // its `indices` are not read
  OverlapOutput overlap{};
};

// All layers of the input; the team's threads bring rows of the host's memory on their way. Throws
// InvalidArgument (no such device, no memory), BadRow with the layer in its message.
std::vector<DeviceInfo> gpu_run(const DeviceInput& input, const DeviceOptions& options,
                                const DeviceResult& result, Team& team);

struct DeviceDescription {
  std::string name;
  int major = 0, minor = 0;
  std::int64_t memory = 0, l2 = 0;
};

struct DeviceStatus {
  bool built = false;         // with a CUDA compiler
  std::string architectures;  // that were compiled for
  std::string problem;        // why there are no devices; empty if there are
  std::vector<DeviceDescription> devices;
  int runtime = 0, driver = 0;  // as CUDA numbers them
};

DeviceStatus gpu_status();

}  // namespace ilo
