// The counts of overlap/overlap.h from a graph in the device's memory. A warp takes a point: its
// languages are bits in shared memory, kChunk words of them at a time, however many there are.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/arithmetic.h"
#include "cuda/kernels/intrinsics.h"
#include "cuda/platform.h"
#include "cuda/runtime.h"
#include "overlap/overlap.h"

namespace ilo::gpu {

using Counter = unsigned long long;  // what atomicAdd takes

struct OverlapTask {
  const std::int64_t* indices;    // (n, k)
  const std::int32_t* languages;  // (n)
  const std::int64_t* sentences;  // (n) or null
  std::int64_t n, k, threshold;
  int words;              // of a set of languages
  Counter* bridging;      // [languages]
  Counter* translations;  // [languages]
  Counter* cross;         // [languages]
  unsigned* reached;      // [languages][words]
};

constexpr int kOverlapWarps = 4;
constexpr int kOverlapChunk = 2048;  // words

__device__ inline int sum_of_warp(int value) {
  for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffu, value, step);
  return value;
}

__global__ inline void count_overlap(OverlapTask task) {
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kOverlapWarps + warp;
  if (i >= task.n) return;
  const int chunk = task.words < kOverlapChunk ? task.words : kOverlapChunk;
  unsigned* const set = dynamic_shared<unsigned>() + warp * chunk;
  const std::int64_t* const neighbours = task.indices + i * task.k;
  const std::int32_t own = task.languages[i];
  int others = 0, translations = 0, cross = 0;
  for (int first = 0; first < task.words; first += chunk) {
    for (int w = lane; w < chunk; w += 32) set[w] = 0;
    __syncwarp();
    for (std::int64_t p = lane; p < task.k; p += 32) {
      const std::int64_t j = neighbours[p];
      const std::int32_t language = task.languages[j];
      if (language == own) continue;
      const int w = (language >> 5) - first;
      if (w >= 0 && w < chunk) atomicOr(&set[w], 1u << (language & 31));
      if (first > 0) continue;
      ++cross;
      if (task.sentences && task.sentences[j] == task.sentences[i]) ++translations;
    }
    __syncwarp();
    for (int w = lane; w < chunk && first + w < task.words; w += 32) {
      const unsigned bits = set[w];
      others += __popc(bits);
      // Most of it has been reached by other points: reading spares them the queue.
      unsigned* const reached =
          &task.reached[static_cast<std::int64_t>(own) * task.words + first + w];
      if (bits & ~*const_cast<volatile unsigned*>(reached)) atomicOr(reached, bits);
    }
    __syncwarp();
  }
  others = sum_of_warp(others);
  translations = sum_of_warp(translations);
  cross = sum_of_warp(cross);
  if (lane == 0) {
    if (others >= task.threshold) atomicAdd(&task.bridging[own], Counter{1});
    if (translations > 0) atomicAdd(&task.translations[own], static_cast<Counter>(translations));
    if (cross > 0) atomicAdd(&task.cross[own], static_cast<Counter>(cross));
  }
}

class DeviceOverlap {
 public:
  // `in` must outlive this; its `indices` are not read.
  DeviceOverlap(const OverlapInput& in, cudaStream_t stream)
      : in_(in), stream_(stream), words_(static_cast<int>(ceil_div(in.n_languages, 32))) {
    languages_.reserve(in.n);
    upload(languages_.data(), in.languages);
    if (in.sentences) {
      sentences_.reserve(in.n);
      upload(sentences_.data(), in.sentences);
    }
    counters_.reserve(3 * std::int64_t{in.n_languages});
    reached_.reserve(std::int64_t{in.n_languages} * words_);
    points_.assign(in.n_languages, 0);
    for (std::int64_t i = 0; i < in.n; ++i) ++points_[in.languages[i]];
  }

  // Bytes on the device that the constructor takes.
  static std::int64_t bytes(const OverlapInput& in) {
    const std::int64_t n_languages = in.n_languages;
    return in.n * (in.sentences ? 12 : 4) + n_languages * (24 + 4 * ceil_div(n_languages, 32));
  }

  // Scores of a layer from its graph, indices [n][k] on the device. Waits for the stream.
  void count(const std::int64_t* indices, std::int64_t layer, const OverlapOutput& out) {
    const std::int64_t n_languages = in_.n_languages;
    check(cudaMemsetAsync(counters_.data(), 0, 3 * n_languages * sizeof(Counter), stream_),
          "clearing the counts");
    check(cudaMemsetAsync(reached_.data(), 0, n_languages * words_ * sizeof(unsigned), stream_),
          "clearing the reached languages");
    OverlapTask task{};
    task.indices = indices, task.languages = languages_.data();
    task.sentences = in_.sentences ? sentences_.data() : nullptr;
    task.n = in_.n, task.k = in_.k, task.threshold = in_.threshold;
    task.words = words_;
    task.bridging = counters_.data(), task.translations = counters_.data() + n_languages;
    task.cross = counters_.data() + 2 * n_languages;
    task.reached = reached_.data();
    const int chunk = std::min(words_, kOverlapChunk);
    launch(stream_, dim3(static_cast<unsigned>(ceil_div(in_.n, kOverlapWarps))),
           dim3(32 * kOverlapWarps), kOverlapWarps * chunk * sizeof(unsigned), count_overlap, task);
    std::vector<Counter> counters(3 * n_languages);
    std::vector<unsigned> reached(n_languages * words_);
    check(cudaMemcpyAsync(counters.data(), counters_.data(), counters.size() * sizeof(Counter),
                          cudaMemcpyDeviceToHost, stream_),
          "fetching the counts");
    check(cudaMemcpyAsync(reached.data(), reached_.data(), reached.size() * sizeof(unsigned),
                          cudaMemcpyDeviceToHost, stream_),
          "fetching the reached languages");
    check(cudaStreamSynchronize(stream_), "counting the overlap");

    OverlapCounts counts(in_.n_languages);
    counts.points = points_;
    for (std::int64_t l = 0; l < n_languages; ++l) {
      counts.bridging[l] = static_cast<std::int64_t>(counters[l]);
      counts.translations[l] = static_cast<std::int64_t>(counters[n_languages + l]);
      counts.cross[l] = static_cast<std::int64_t>(counters[2 * n_languages + l]);
      for (int w = 0; w < words_; ++w)
        counts.reached[l] += __builtin_popcount(reached[l * words_ + w]);
    }
    scores_of_layer(in_, counts, layer, out);
  }

 private:
  template <class T>
  void upload(T* to, const T* from) {
    check(cudaMemcpyAsync(to, from, in_.n * sizeof(T), cudaMemcpyHostToDevice, stream_),
          "copying the labels to the device");
  }

  const OverlapInput& in_;
  cudaStream_t stream_;
  int words_;
  std::vector<std::int64_t> points_;
  Buffer<std::int32_t> languages_;
  Buffer<std::int64_t> sentences_;
  Buffer<Counter> counters_;  // bridging, translations, cross
  Buffer<unsigned> reached_;
};

}  // namespace ilo::gpu
