// Which features of which tokens are active: a sparse matrix, one row a token (CSR), whose columns
// are layer * n_features + feature.
#pragma once

#include <cstdint>
#include <vector>

namespace ilo {

struct ActiveRows {
  const std::int64_t* indptr;   // (n + 1)
  const std::int32_t* indices;  // (entries)
  std::int64_t n, n_layers, n_features;

  std::int64_t columns() const { return n_layers * n_features; }
  std::int64_t entries() const { return indptr[n]; }
};

// Throws InvalidArgument unless indptr lays out all `entries`, and the indices of each token ascend
// within the columns. Only then may rows be given to what is below.
void check_entries(const ActiveRows& rows, std::int64_t entries);

// The entries of the tokens from `first` to before `last`, column by column, in each in the order
// of tokens, which are counted from `first`.
struct ByFeature {
  ByFeature() = default;
  ByFeature(const ActiveRows& rows, std::int64_t first, std::int64_t last);

  std::vector<std::int64_t> offsets;  // (columns + 1)
  std::vector<std::int32_t> entry, token;
};

}  // namespace ilo
