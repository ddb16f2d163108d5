// A read-only view of n rows of d numbers: rows may lie anywhere (several arrays, any stride, a
// memory map), the columns of all of them are col_stride bytes apart. Nothing is owned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ilo {

enum class DType : int { f16, bf16, f32, f64 };

inline std::size_t size_of(DType t) { return t == DType::f64 ? 8 : t == DType::f32 ? 4 : 2; }

struct MatrixView {
  std::vector<const std::byte*> rows;
  std::int64_t d = 0;
  std::ptrdiff_t col_stride = 0;  // bytes
  DType dtype = DType::f32;

  std::int64_t n() const { return static_cast<std::int64_t>(rows.size()); }
};

}  // namespace ilo
