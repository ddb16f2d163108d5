// The engine on a device, layer by layer: prepare, search, expand. device.h says what it is for.
//
//   device_rows.h      brings rows to the device (upload.h), measures them, finds equal ones
//   plan.h             divides the device's memory
//   search.h           filter, float64 distances, certificate, panel by panel
//   kernels/expand.h   from unique rows to all rows; overlap_on_device.h counts
//
// The host queues work, and waits a few times a layer: for the hashes of the rows (which are
// equal?), for the bounds (what can a certificate promise?), for the rows that stay uncertified,
// and for the result.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "core/errors.h"
#include "cuda/check_products.h"
#include "cuda/device.h"
#include "cuda/device_rows.h"
#include "cuda/kernels/expand.h"
#include "cuda/overlap_on_device.h"
#include "cuda/plan.h"
#include "cuda/products.h"
#include "cuda/search.h"
#include "cuda/staging_buffer.h"
#include "cuda/upload.h"

namespace ilo::gpu {

class Engine {
 public:
  Engine(const DeviceInput& input, const DeviceOptions& options, const DeviceResult& result,
         Team& team)
      : input_(input),
        options_(options),
        result_(result),
        team_(team),
        stream_(reinterpret_cast<cudaStream_t>(options.stream)),
        uploader_(stream_, team),
        staging_(stream_),
        pace_(stream_, team, uploader_),
        rows_(input, options.metric, team, stream_, uploader_, staging_),
        products_(input, options, stream_, pace_),
        search_(input, options, team, stream_, uploader_, staging_, rows_, products_, pace_),
        n_queries_(input.n_queries()),
        k_(static_cast<int>(options.n_neighbors)) {
    if (result.overlap_input) taken_ = DeviceOverlap::bytes(*result.overlap_input);
  }
  ~Engine() {  // what is still queued may work on what is about to go
    (void)cudaStreamSynchronize(stream_);
    uploader_.abandon();
  }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  std::vector<DeviceInfo> run() {
    std::int64_t budget = options_.max_memory > 0 ? options_.max_memory : free_memory();
    std::vector<DeviceInfo> infos;
    std::int64_t retries = 0;
    while (static_cast<std::int64_t>(infos.size()) < input_.n_layers) {
      const auto h = static_cast<std::int64_t>(infos.size());
      rows_.look_at(h);
      plan_ = make_plan(input_, options_, rows_.layer(), budget, taken_);
      const double of_layer = work_of(input_, plan_.group_rows);
      team_.expect(static_cast<double>(input_.n_layers) * of_layer);
      team_.arrive(static_cast<double>(h) * of_layer);
      try {
        infos.push_back(run_layer(h));
        infos.back().retries = retries;
      } catch (const OutOfMemory& error) {
        // Somebody else took what seemed free, or it lies in pieces: once more, with less.
        release();
        budget /= 2;
        if (++retries > kRetries)
          throw InvalidArgument(text("the GPU's memory does not suffice: ", error.what(),
                                     ". Free some of it (torch.cuda.empty_cache()), or use "
                                     "backend='exact'"));
      }
    }
    return infos;
  }

 private:
  static constexpr int kRetries = 6;

  static std::int64_t free_memory() {
    std::size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "queries for free memory");
    return static_cast<std::int64_t>(static_cast<double>(free) * 0.92);
  }

  void release() {
    (void)cudaStreamSynchronize(stream_);
    uploader_.abandon();
    rows_.release(), products_.release(), search_.release();
    overlap_.reset();
    unique_of_.release(), offset_.release(), members_.release();
    indices_.release(), distances_.release();
  }

  DeviceInfo run_layer(std::int64_t h) {
    DeviceInfo info;
    info.rows = input_.n_base;
    info.queries = n_queries_;
    info.tile_rows = plan_.tile;
    info.list_capacity = plan_.capacity;
    info.product = products_.name();
    Stopwatch watch;
    info.late_rows = rows_.prepare(h, plan_);
    info.unique_rows = rows_.equals().n_columns;
    search_.arrange(plan_, info);
    if (h == 0)
      check_products(products_, search_.base(), rows_.layer(), plan_, search_.certificate(),
                     staging_, stream_);
    info.seconds_prepare = watch.lap();
    if (plan_.prefetches) rows_.prefetch(h + 1);
    search_.run(info, watch);
    rows_.check_unchanged(h);
    finish(h);
    info.certified_rows = n_queries_ - info.fallback_rows;
    info.seconds_rerank += watch.lap();
    return info;
  }

  // Fetches the neighbours of all query rows, or counts their overlap.
  void finish(std::int64_t h) {
    const EqualRows& equals = rows_.equals();
    const std::size_t size = static_cast<std::size_t>(n_queries_) * k_;
    indices_.reserve(size), distances_.reserve(size);
    staging_.send(unique_of_, equals.unique_of);
    staging_.send(offset_, equals.offset);
    staging_.send(members_, equals.members);
    Expansion in{};
    in.equals = {unique_of_.data(), offset_.data(), members_.data(),
                 static_cast<int>(input_.n_base)};
    in.query_of = search_.query_of();
    in.n_columns = equals.n_columns;
    in.first_number = static_cast<int>(input_.n() - n_queries_);
    in.k = k_;
    in.nearest_id = search_.nearest_id();
    in.nearest_squared = search_.nearest_squared();
    in.cosine = options_.metric == Metric::cosine;
    in.multiplier = rows_.multiplier();
    launch(stream_, dim3(blocks_for(n_queries_)), dim3(kBlock), 0, expand_to_all_rows,
           static_cast<int>(n_queries_), in, indices_.data(), distances_.data());
    const auto fetch = [&](auto* to, const auto* from) {
      if (!to) return;
      check(cudaMemcpyAsync(to + h * size, from, size * sizeof *from, cudaMemcpyDeviceToHost,
                            stream_),
            "fetching the graph");
    };
    fetch(result_.indices, indices_.data());
    fetch(result_.distances, distances_.data());
    check(cudaStreamSynchronize(stream_), "fetching the graph");
    if (!result_.overlap_input) return;
    if (!overlap_) overlap_ = std::make_unique<DeviceOverlap>(*result_.overlap_input, stream_);
    overlap_->count(indices_.data(), h, result_.overlap);
  }

  const DeviceInput& input_;
  const DeviceOptions& options_;
  const DeviceResult& result_;
  Team& team_;
  cudaStream_t stream_;
  Buffer<int> unique_of_, offset_, members_;
  Buffer<std::int64_t> indices_;
  Buffer<float> distances_;
  Uploader uploader_;
  StagingBuffer staging_;
  Pace pace_;
  DeviceRows rows_;
  Products products_;
  Search search_;
  std::unique_ptr<DeviceOverlap> overlap_;
  std::int64_t n_queries_, taken_ = 0;  // taken: bytes on the device for the counting of overlaps
  int k_;
  Plan plan_;
};

}  // namespace ilo::gpu
