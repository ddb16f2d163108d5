// Encoder weights as the product takes them, and tiles of tokens that pass through them.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/arithmetic.h"
#include "core/errors.h"
#include "knn/buffer.h"
#include "sparse/encode.h"

namespace ilo {

template <class T>
class PackedEncoder {
 public:
  static constexpr std::int64_t kTileTokens = 64;

  // What a worker needs: packed tokens of one layer, and a tile.
  struct Scratch {
    Scratch(const PackedEncoder& encoder)
        : x(kTileTokens * encoder.in_.d), tile(kTileTokens * encoder.stride_) {}
    Buffer<T> x, tile;
  };

  PackedEncoder(const EncodeInput<T>& in, const SparseKernelsOf<T>& kernels, Team& team)
      : in_(in),
        kernels_(kernels),
        panels_(ceil_div(in.n_features, kernels.panel)),
        chunk_(std::max<std::int64_t>(1, 480 / kernels.panel)),
        // Rows of the tile do not lie a power of two apart: they would share few cache lines.
        stride_(chunk_ * kernels.panel + 16),
        weight_(in.n_layers * panels_ * kernels.panel * in.d),
        bias_(in.n_layers * panels_ * kernels.panel, -std::numeric_limits<T>::infinity()) {
    pack(team);
  }

  // Features of a layer with those that fill its last panel: they have a bias of -infinity, so that
  // they are never active.
  std::int64_t padded_features() const { return panels_ * kernels_.panel; }
  std::int64_t chunk_features() const { return chunk_ * kernels_.panel; }

  // Calls visit(token, row, n, first) for tokens 0 to `count` of a tile and every chunk of features
  // of a layer, in order: row holds n pre-activations, those of the features from `first` on. The
  // tokens are `tokens`, or from `tokens[0]` on if there is but one number.
  template <class Visit>
  void run(std::int64_t first_token, std::int64_t count, std::int64_t step, std::int64_t layer,
           Scratch& scratch, const Visit& visit) const {
    const std::int64_t d = in_.d, groups = ceil_div(count, kernels_.rows);
    for (std::int64_t g = 0; g < groups; ++g) {
      const std::int64_t token = g * kernels_.rows;
      kernels_.pack(in_.x + ((first_token + token * step) * in_.n_layers + layer) * d,
                    step * in_.n_layers * d,
                    static_cast<int>(std::min<std::int64_t>(kernels_.rows, count - token)),
                    kernels_.rows, d, scratch.x.data() + token * d);
    }
    for (std::int64_t panel = 0; panel < panels_; panel += chunk_) {
      const std::int64_t panels = std::min(chunk_, panels_ - panel);
      const std::int64_t first = panel * kernels_.panel;
      const std::int64_t at = layer * padded_features() + first;
      kernels_.product(scratch.x.data(), groups, weight_.data() + at * d, panels, bias_.data() + at,
                       d, scratch.tile.data(), stride_);
      for (std::int64_t t = 0; t < count; ++t) {
        const T* row = scratch.tile.data() + t * stride_;
        if (may_overflow_)
          check(row, std::min(panels * kernels_.panel, in_.n_features - first),
                first_token + t * step, layer);
        visit(t, row, panels * kernels_.panel, first);
      }
    }
  }

 private:
  void pack(Team& team) {
    const std::int64_t d = in_.d, panel = kernels_.panel;
    const std::int64_t tiles = ceil_div(in_.n, kTileTokens);
    std::vector<T> largest_x(tiles), largest_w(in_.n_layers * panels_);
    team.run(tiles + in_.n_layers * panels_, [&](std::int64_t task, int) {
      if (task < tiles) {
        const std::int64_t first = task * kTileTokens;
        const std::int64_t count = std::min(kTileTokens, in_.n - first);
        const std::int64_t row = in_.n_layers * d;
        largest_x[task] = kernels_.magnitude(in_.x + first * row, count * row);
        return;
      }
      const std::int64_t number = task - tiles, layer = number / panels_;
      const std::int64_t first = number % panels_ * panel;
      const int count = static_cast<int>(std::min(panel, in_.n_features - first));
      const std::int64_t at = layer * in_.n_features + first;
      largest_w[number] = std::max(kernels_.magnitude(in_.weight + at * d, count * d),
                                   kernels_.magnitude(in_.bias + at, count));
      if (!std::isfinite(kernels_.magnitude(in_.bias + at, count)))
        largest_w[number] = std::numeric_limits<T>::infinity();
      kernels_.pack(in_.weight + at * d, d, count, static_cast<int>(panel), d,
                    weight_.data() + number * panel * d);
      std::copy(in_.bias + at, in_.bias + at + count, bias_.data() + number * panel);
    });
    T x = 0, w = 0;
    for (std::int64_t tile = 0; tile < tiles; ++tile) {
      if (!std::isfinite(largest_x[tile])) bad_token(tile * kTileTokens);
      x = std::max(x, largest_x[tile]);
    }
    for (std::int64_t number = 0; number < in_.n_layers * panels_; ++number) {
      if (!std::isfinite(largest_w[number]))
        throw InvalidArgument(text("weight or bias of layer ", number / panels_,
                                   " holds NaN or infinity, at one of the features from ",
                                   number % panels_ * panel, " on"));
      w = std::max(w, largest_w[number]);
    }
    // In terms of logarithms nothing here overflows; a factor of 8 for rounding.
    may_overflow_ = std::log2(static_cast<double>(x) + 1) + std::log2(static_cast<double>(w) + 1) +
                        std::log2(static_cast<double>(d) + 1) + 3 >
                    std::numeric_limits<T>::max_exponent;
  }

  [[noreturn]] void bad_token(std::int64_t from) const {
    for (std::int64_t t = from;; ++t)
      for (std::int64_t layer = 0; layer < in_.n_layers; ++layer)
        if ((t + 1 == in_.n && layer + 1 == in_.n_layers) ||
            !std::isfinite(kernels_.magnitude(in_.x + (t * in_.n_layers + layer) * in_.d, in_.d)))
          throw BadRow(t, "holds NaN or infinity", layer, "x");
  }

  void check(const T* row, std::int64_t n, std::int64_t token, std::int64_t layer) const {
    if (!std::isfinite(kernels_.magnitude(row, n)))
      throw BadRow(token, "is too large: its pre-activations overflow", layer, "x");
  }

  const EncodeInput<T>& in_;
  const SparseKernelsOf<T>& kernels_;
  std::int64_t panels_, chunk_, stride_;
  Buffer<T> weight_;
  std::vector<T> bias_;
  bool may_overflow_ = false;
};

}  // namespace ilo
