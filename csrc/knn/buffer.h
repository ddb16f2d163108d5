// Uninitialised memory for packed rows and tiles, aligned to cache lines and, where large, to huge
// pages: the product walks panels that are far apart, and small pages would miss the translation
// cache.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#elif defined(_WIN32)
#include <malloc.h>
#endif

namespace ilo {

template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t count) {
    constexpr std::size_t kHuge = std::size_t{1} << 21;
    const std::size_t bytes = count * sizeof(T);
    const std::size_t alignment = bytes >= kHuge ? kHuge : 64;
    // A multiple of the alignment; pages beyond the last used are never touched.
    const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
    data_.reset(static_cast<T*>(allocate(alignment, rounded ? rounded : alignment)));
    if (!data_) throw std::bad_alloc();
#if defined(__linux__)
    // Only whole huge pages that are filled: the tail must not cost more memory than it holds.
    if (bytes >= kHuge) madvise(data_.get(), bytes / kHuge * kHuge, MADV_HUGEPAGE);
#endif
  }
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }

 private:
  // Not std::aligned_alloc, which Windows does not have, nor macOS before 10.15.
#if defined(_WIN32)
  static void* allocate(std::size_t alignment, std::size_t bytes) {
    return _aligned_malloc(bytes, alignment);
  }
  struct Free {
    void operator()(T* p) const { _aligned_free(p); }
  };
#else
  static void* allocate(std::size_t alignment, std::size_t bytes) {
    void* out = nullptr;
    return posix_memalign(&out, alignment, bytes) == 0 ? out : nullptr;
  }
  struct Free {
    void operator()(T* p) const { std::free(p); }
  };
#endif
  std::unique_ptr<T, Free> data_;
};

}  // namespace ilo
