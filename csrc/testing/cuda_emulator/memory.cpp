// The emulator's memory: allocations between guards, and copies between the kinds of memory.
#include <algorithm>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "testing/cuda_emulator/state.h"

namespace ilo::emulated {

namespace {

constexpr std::size_t kGuard = 256;
constexpr unsigned char kGuardByte = 0xa5, kPoison = 0xff;

std::byte* address(std::uintptr_t at) { return reinterpret_cast<std::byte*>(at); }

}  // namespace

const Allocation* find(const void* memory, std::size_t bytes) {
  auto& all = device().allocations;
  const auto at = reinterpret_cast<std::uintptr_t>(memory);
  auto it = all.upper_bound(at);
  if (it == all.begin()) return nullptr;
  --it;
  return at - it->first + bytes <= it->second.bytes ? &it->second : nullptr;
}

void check_guards(std::uintptr_t at, const Allocation& a, const char* after) {
  const std::byte* guards[] = {address(at) - kGuard, address(at) + a.bytes};
  for (int side = 0; side < 2; ++side)
    for (std::size_t i = 0; i < kGuard; ++i)
      if (guards[side][i] != std::byte{kGuardByte})
        throw std::logic_error(std::string("written ") +
                               (side ? "beyond the end" : "before the beginning") + " of " +
                               std::to_string(a.bytes) + " bytes of " +
                               (a.pinned ? "pinned" : "device") + " memory, seen after " + after);
}
void check_all_guards(const char* after) {
  for (const auto& [at, a] : device().allocations) check_guards(at, a, after);
}

namespace {

cudaError_t allocate(void** memory, std::size_t bytes, bool pinned) {
  Device& d = device();
  Lock lock(d.mutex);
  *memory = nullptr;
  if (bytes == 0) return cudaSuccess;
  if (d.fail_in > 0 && --d.fail_in == 0) return failed(cudaErrorMemoryAllocation);
  if (!pinned && (bytes > d.limit || d.live > d.limit - bytes))
    return failed(cudaErrorMemoryAllocation);
  void* got = ::operator new(bytes + 2 * kGuard, std::align_val_t{kGuard}, std::nothrow);
  if (!got) return failed(cudaErrorMemoryAllocation);
  auto* start = static_cast<std::byte*>(got) + kGuard;
  std::memset(start - kGuard, kGuardByte, kGuard);
  std::memset(start, kPoison, bytes);
  std::memset(start + bytes, kGuardByte, kGuard);
  d.allocations[reinterpret_cast<std::uintptr_t>(start)] = Allocation{bytes, pinned};
  if (!pinned) {
    d.live += bytes;
    d.peak = std::max(d.peak, d.live);
  }
  *memory = start;
  return cudaSuccess;
}

cudaError_t release(void* memory, bool pinned) {
  if (!memory) return cudaSuccess;
  Device& d = device();
  Lock lock(d.mutex);
  const auto it = d.allocations.find(reinterpret_cast<std::uintptr_t>(memory));
  if (it == d.allocations.end() || it->second.pinned != pinned)
    return failed(cudaErrorInvalidValue);
  try {
    const std::exception_ptr before = std::exchange(pending, nullptr);
    finish_everything();
    pending = before;
    check_guards(it->first, it->second, "its release was asked for");
  } catch (...) {
    pending = std::current_exception();
  }
  if (!pinned) d.live -= it->second.bytes;
  d.allocations.erase(it);
  ::operator delete(static_cast<std::byte*>(memory) - kGuard, std::align_val_t{kGuard});
  return cudaSuccess;
}

// ---- copies

struct Rows {  // of bytes
  std::byte* at;
  std::size_t pitch;
};

void copy_rows(Rows to, const std::byte* from, std::size_t from_pitch, std::size_t width,
               std::size_t height) {
  for (std::size_t r = 0; r < height; ++r)
    std::memmove(to.at + r * to.pitch, from + r * from_pitch, width);
}

cudaError_t copy(Rows to, const std::byte* from, std::size_t from_pitch, std::size_t width,
                 std::size_t height, cudaMemcpyKind kind, cudaStream_t stream) {
  Lock lock(device().mutex);
  if (width == 0 || height == 0) return cudaSuccess;
  if (to.pitch < width || from_pitch < width) return failed(cudaErrorInvalidValue);
  const Allocation* target = find(to.at, (height - 1) * to.pitch + width);
  const Allocation* source = find(from, (height - 1) * from_pitch + width);
  const bool target_on_device = target && !target->pinned;
  const bool source_on_device = source && !source->pinned;
  if (kind == cudaMemcpyDefault)
    kind = static_cast<cudaMemcpyKind>((target_on_device ? 1 : 0) + (source_on_device ? 2 : 0));
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  // Arrays of a caller that stand for device memory are not allocated here: they may be read.
  if (to_device != target_on_device || (source && from_device != source_on_device))
    return failed(cudaErrorInvalidValue);

  if (!from_device && !source) {
    auto kept = std::make_shared<std::vector<std::byte>>(width * height);
    copy_rows({kept->data(), width}, from, from_pitch, width, height);
    enqueue(stream, [=] { copy_rows(to, kept->data(), width, width, height); });
  } else {
    enqueue(stream, [=] { copy_rows(to, from, from_pitch, width, height); });
  }
  if (!to_device && !target) finish(stream_of(stream));
  return cudaSuccess;
}

}  // namespace

cudaError_t cudaMalloc(void** memory, std::size_t bytes) { return allocate(memory, bytes, false); }
cudaError_t cudaMallocHost(void** memory, std::size_t bytes) {
  return allocate(memory, bytes, true);
}
cudaError_t cudaFree(void* memory) { return release(memory, false); }
cudaError_t cudaFreeHost(void* memory) { return release(memory, true); }

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  Lock lock(device().mutex);
  *total = device().limit;
  *free = device().limit - std::min(device().live, device().limit);
  return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* memory) {
  Lock lock(device().mutex);
  const Allocation* a = find(memory, 1);
  void* at = const_cast<void*>(memory);
  *attributes = {cudaMemoryTypeUnregistered, 0, nullptr, at};
  if (a) *attributes = {a->pinned ? cudaMemoryTypeHost : cudaMemoryTypeDevice, 0, at, at};
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return copy({static_cast<std::byte*>(to), bytes}, static_cast<const std::byte*>(from), bytes,
              bytes, 1, kind, stream);
}
cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from,
                              std::size_t from_pitch, std::size_t width, std::size_t height,
                              cudaMemcpyKind kind, cudaStream_t stream) {
  return copy({static_cast<std::byte*>(to), to_pitch}, static_cast<const std::byte*>(from),
              from_pitch, width, height, kind, stream);
}
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  Lock lock(device().mutex);
  if (bytes == 0) return cudaSuccess;
  const Allocation* target = find(to, bytes);
  if (!target || target->pinned) return failed(cudaErrorInvalidValue);
  enqueue(stream, [=] { std::memset(to, value, bytes); });
  return cudaSuccess;
}

}  // namespace ilo::emulated
