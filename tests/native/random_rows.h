// Random rows of every kind that the engine has to survive, stored in any of the four dtypes.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "checks.h"
#include "core/matrix_view.h"

namespace native {

using ilo::DType;

// n rows of d values of any of the four types, in memory of exactly that size.
struct Matrix {
  Index n = 0, d = 0;
  DType dtype = DType::f32;
  std::vector<std::byte> bytes;
  std::vector<double> values;  // what the bytes say

  const double* row(Index i) const { return &values[i * d]; }
  ilo::MatrixView view() const {
    ilo::MatrixView out;
    out.d = d;
    out.dtype = dtype;
    out.col_stride = static_cast<std::ptrdiff_t>(ilo::size_of(dtype));
    for (Index i = 0; i < n; ++i) out.rows.push_back(&bytes[i * d * out.col_stride]);
    return out;
  }
};

extern const std::vector<const char*> kinds;

Matrix make(Random& random, const std::string& kind, Index n, Index d, DType dtype);

}  // namespace native
