// The CUDA emulator: threads of a block, memory, streams. Most of it asks that mistakes are found,
// since an emulator on which a wrong program gives right results would be worth nothing.
//
//     emulator_test [rounds, ignored] [seed]
#include <cstring>
#include <exception>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "cuda/kernels/intrinsics.h"
#include "emulated_device.h"

namespace ilo::emulated {
namespace {

constexpr int kThreads = 128;
constexpr unsigned kAll = 0xffffffffu;

// ---- threads of a block

template <bool kWaits>
__global__ void reverse(int* out) {
  __shared__ int shared[kThreads];
  shared[threadIdx.x] = -1;
  __syncthreads();
  shared[threadIdx.x] = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (kWaits) __syncthreads();
  out[blockIdx.x * blockDim.x + threadIdx.x] = shared[kThreads - 1 - threadIdx.x];
}

template <bool kWaits>
bool reverses() {
  const int blocks = 3, n = blocks * kThreads;
  Buffer<int> out(n);
  launch(nullptr, dim3(blocks), dim3(kThreads), 0, reverse<kWaits>, out.data());
  const std::vector<int> got = to_host(out.data(), n);
  bool right = true;
  for (int i = 0; i < n; ++i)
    right &= got[i] == i / kThreads * kThreads + kThreads - 1 - i % kThreads;
  return right;
}

__global__ void some_wait(int) {
  if (threadIdx.x < 7) __syncthreads();
}
__global__ void wait_apart(int) {
  if (threadIdx.x < 32)
    __syncthreads();
  else
    __syncthreads();
}
__global__ void lanes_missing(int) {
  if (threadIdx.x % 32 < 31) (void)__shfl_sync(kAll, 1, 0);
}
__global__ void apart_in_warp(int) {
  if (threadIdx.x % 2)
    (void)__shfl_sync(kAll, 1, 0);
  else
    (void)__ballot_sync(kAll, 1);
}
__global__ void not_in_mask(int) { __syncwarp(0x0000ffffu); }

void launch_wrong(void (*kernel)(int)) {
  launch(nullptr, dim3(1), dim3(kThreads), 0, kernel, 0);
  check(cudaStreamSynchronize(nullptr), "wait");
}

struct Exchanged {
  int up, down, xored, third, eighth;
  double wide;
  long long whole;
  unsigned ballot, halves;
};
__global__ void exchange_all(Exchanged* out) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const unsigned half = lane < 16 ? 0x0000ffffu : 0xffff0000u;
  Exchanged& e = out[threadIdx.x];
  e.up = __shfl_up_sync(kAll, lane, 3);
  e.down = __shfl_down_sync(kAll, lane, 5);
  e.xored = __shfl_xor_sync(kAll, lane, 9);
  e.third = __shfl_sync(kAll, lane, 3);
  e.eighth = __shfl_sync(kAll, lane, 3, 8);
  e.wide = __shfl_xor_sync(kAll, lane + 0.25, 1);
  e.whole = __shfl_down_sync(kAll, (1ll << 40) + lane, 4u, 8);
  e.ballot = __ballot_sync(kAll, lane % 3 == 0);
  e.halves = __ballot_sync(half, lane % 2 == 0);
}

void test_exchange() {
  Buffer<Exchanged> out(kThreads);
  launch(nullptr, dim3(1), dim3(kThreads), 0, exchange_all, out.data());
  const std::vector<Exchanged> got = to_host(out.data(), kThreads);
  unsigned thirds = 0;
  for (int i = 0; i < 32; i += 3) thirds |= 1u << i;
  for (int i = 0; i < kThreads; ++i) {
    const int lane = i % 32;
    const Exchanged& e = got[i];
    native::check(e.up == (lane < 3 ? lane : lane - 3), "shfl_up");
    native::check(e.down == (lane + 5 > 31 ? lane : lane + 5), "shfl_down");
    native::check(e.xored == (lane ^ 9) && e.third == 3 && e.eighth == lane / 8 * 8 + 3, "shfl");
    native::check(e.wide == (lane ^ 1) + 0.25, "shfl of doubles");
    native::check(e.whole == (1ll << 40) + (lane % 8 + 4 > 7 ? lane : lane + 4), "shfl in parts");
    native::check(e.ballot == thirds, "ballot");
    native::check(e.halves == (lane < 16 ? 0x00005555u : 0x55550000u), "ballot of halves");
  }
}

void test_threads() {
  native::check(reverses<true>(), "a block with barriers");
  native::check(!reverses<false>(), "a forgotten barrier was not seen");
  test_exchange();
  const auto stops = [](void (*kernel)(int), const char* part) {
    native::check_throws<std::logic_error>([&] { launch_wrong(kernel); }, part);
    native::check(reverses<true>(), "a block after an error");
  };
  stops(some_wait, "deadlock: of 128 threads, 121 have ended, 7 wait at __syncthreads");
  stops(wait_apart, "divergent");
  stops(lanes_missing, "deadlock");
  stops(apart_in_warp, "divergent threads of a warp");
  stops(not_in_mask, "not in its own mask");
  native::check_throws<std::runtime_error>(
      [] { launch(nullptr, dim3(1), dim3(1025), 0, some_wait, 0); }, "configuration");
  native::check_throws<std::runtime_error>(
      [] { launch(nullptr, dim3(1), dim3(32), 164 * 1024, some_wait, 0); }, "invalid argument");
  launch(nullptr, dim3(0), dim3(32), 0, some_wait, 0);
}

// Many threads of the host at once, some of which make mistakes.
void test_many_hosts() {
  std::vector<std::thread> hosts;
  std::vector<std::exception_ptr> errors(6);
  for (int t = 0; t < 6; ++t)
    hosts.emplace_back([t, &error = errors[t]] {
      try {
        for (int round = 0; round < 10; ++round) {
          native::check(reverses<true>(), "a block among others");
          if (t % 3 == 0)
            native::check_throws<std::logic_error>([] { launch_wrong(some_wait); }, "deadlock");
        }
      } catch (...) {
        error = std::current_exception();
      }
    });
  for (std::thread& host : hosts) host.join();
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
}

// ---- memory

__global__ void set_at(int* to, long long at, int value) { to[at] = value; }
__global__ void fill_shared(int count, unsigned* sum) {
  int* const shared = dynamic_shared<int>();
  for (int i = 0; i < count; ++i) shared[i] = i;
  *sum = static_cast<unsigned>(shared[count - 1]);
}

void test_memory() {
  native::check(live_bytes() == 0, "memory is left");
  {
    Buffer<int> a(10);
    native::check(live_bytes() == 40, "live bytes");
    for (const int x : to_host(a.data(), 10)) native::check(x == -1, "memory is not poisoned");
    for (const long long at : {10ll, -1ll}) {
      launch(nullptr, dim3(1), dim3(1), 0, set_at, a.data(), at, 1);
      native::check_throws<std::logic_error>(
          [] { check(cudaStreamSynchronize(nullptr), "wait"); },
          at < 0 ? "before the beginning of 40" : "beyond the end of 40");
      // Mended, for what comes.
      std::memset(a.data() + at, 0xa5, sizeof(int));
    }
    launch(nullptr, dim3(1), dim3(1), 64, fill_shared, 16, reinterpret_cast<unsigned*>(a.data()));
    native::check(to_host(a.data(), 1)[0] == 15, "dynamic shared memory");
    launch(nullptr, dim3(1), dim3(1), 64, fill_shared, 17, reinterpret_cast<unsigned*>(a.data()));
    native::check_throws<std::logic_error>([] { check(cudaStreamSynchronize(nullptr), "wait"); },
                                           "beyond its 64 bytes of shared memory");

    // An error in a destructor waits for the next call that waits.
    Buffer<int> b(5);
    launch(nullptr, dim3(1), dim3(1), 0, set_at, b.data(), 5, 1);
    b.release();
    native::check(problem_pending(), "an error got lost");
    native::check_throws<std::logic_error>([] { check(cudaStreamSynchronize(nullptr), "wait"); },
                                           "beyond");
    native::check(!problem_pending(), "an error comes twice");

    set_memory_limit(100);
    std::size_t left = 0, total = 0;
    check(cudaMemGetInfo(&left, &total), "memory");
    native::check(left == 60 && total == 100, "memory information");
    native::check_throws<OutOfMemory>([] { Buffer<char> more(61); }, "out of memory");
    Buffer<char> more(60);
    native::check_throws<OutOfMemory>([&] { more.reserve(61); }, "out of memory");
    native::check(more.data() == nullptr && more.size() == 0 && live_bytes() == 40,
                  "after a failure");
    set_memory_limit(0);
    fail_allocation(2);
    more.reserve(3);
    native::check_throws<OutOfMemory>([] { PinnedBuffer<char> pinned(1); }, "pinned");
    PinnedBuffer<int> pinned(10);
    more.reserve(2);
    native::check(more.size() == 3 && peak_bytes() >= 43, "a buffer that is large enough");
    Buffer<char> moved = std::move(more);
    native::check(moved.size() == 3, "a moved buffer");

    // Kinds of memory.
    int host[10];
    native::check(
        cudaMemcpyAsync(a.data(), host, 40, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue &&
            cudaMemcpyAsync(host, a.data(), 40, cudaMemcpyHostToDevice) == cudaErrorInvalidValue &&
            cudaMemcpyAsync(a.data(), host, 44, cudaMemcpyHostToDevice) == cudaErrorInvalidValue &&
            cudaMemcpyAsync(a.data(), pinned.data(), 4, cudaMemcpyDeviceToDevice) ==
                cudaErrorInvalidValue &&
            cudaMemsetAsync(pinned.data(), 0, 40) == cudaErrorInvalidValue,
        "wrong kinds of memory are not seen");
    cudaPointerAttributes kind;
    check(cudaPointerGetAttributes(&kind, pinned.data() + 3), "kind");
    native::check(kind.type == cudaMemoryTypeHost, "pinned memory");
    check(cudaPointerGetAttributes(&kind, host), "kind");
    native::check(kind.type == cudaMemoryTypeUnregistered, "pageable memory");
  }
  native::check(live_bytes() == 0, "memory is left");
  native::check_throws<std::runtime_error>([] { DeviceGuard second(1); }, "invalid device");

  // Pitches.
  std::vector<int> host(35);
  std::iota(host.begin(), host.end(), 0);
  Buffer<int> a(15);
  check(cudaMemsetAsync(a.data(), 0, a.bytes()), "clear");
  check(cudaMemcpy2DAsync(a.data() + 1, 20, host.data() + 2, 28, 12, 3, cudaMemcpyHostToDevice),
        "upload");
  const std::vector<int> got = to_host(a.data(), 15);
  for (int i = 0; i < 15; ++i)
    native::check(got[i] == (i % 5 == 0 || i % 5 == 4 ? 0 : i / 5 * 7 + i % 5 + 1),
                  "rows of a copy");
}

// ---- streams

__global__ void add_one(int* to, const int* from) { to[0] = from[0] + 1; }

// A chain over two streams; whether it comes out right.
bool chain(bool with_events) {
  Stream first, second;
  Event there, back;
  Buffer<int> a(1), b(1);
  PinnedBuffer<int> result(1);
  result[0] = -7;
  check(cudaMemsetAsync(a.data(), 0, 4, first), "clear");
  for (int i = 0; i < 3; ++i) {
    launch(first, dim3(1), dim3(1), 0, add_one, b.data(), a.data());
    there.record(first);
    if (with_events) second.wait(there);
    launch(second, dim3(1), dim3(1), 0, add_one, a.data(), b.data());
    back.record(second);
    if (with_events) first.wait(back);
  }
  check(cudaMemcpyAsync(result.data(), a.data(), 4, cudaMemcpyDeviceToHost, second), "download");
  native::check(result[0] == -7, "work was done before anybody waited");
  back.synchronize();
  second.synchronize();
  return result[0] == 6;
}

void test_streams() {
  int wrong = 0;
  for (int round = 0; round < 30; ++round) {
    set_order(round);
    native::doing = "order " + std::to_string(round);
    native::check(chain(true), "streams with events");
    wrong += !chain(false);
    if (round == 0) native::check(wrong == 1, "forgotten events were not seen");
  }
  native::check(wrong > 20, "forgotten events were hardly seen");
  set_order(0);

  // Pinned memory is read when its turn comes, pageable memory at once; asking helps an event.
  Stream stream;
  Event event;
  Buffer<int> a(2);
  PinnedBuffer<int> pinned(1), result(2);
  int pageable = 1;
  pinned[0] = 1;
  check(cudaMemcpyAsync(a.data(), pinned.data(), 4, cudaMemcpyHostToDevice, stream), "upload");
  check(cudaMemcpyAsync(a.data() + 1, &pageable, 4, cudaMemcpyHostToDevice, stream), "upload");
  check(cudaMemcpyAsync(result.data(), a.data(), 8, cudaMemcpyDeviceToHost, stream), "download");
  event.record(stream);
  pinned[0] = pageable = 2;
  int asked = 0;
  while (!event.ready()) ++asked;
  native::check(asked > 0 && result[0] == 2 && result[1] == 1, "copies");

  // A stream that is destroyed still does its work.
  {
    Stream gone;
    launch(gone, dim3(1), dim3(1), 0, add_one, a.data(), a.data() + 1);
    event.record(gone);
  }
  event.synchronize();
  native::check(to_host(a.data(), 1)[0] == 2, "a stream that is gone");
}

void run(native::Random&, native::Index) {
  random_numbers = native::Random(native::seed);
  test_threads();
  test_many_hosts();
  test_memory();
  test_streams();
}

}  // namespace
}  // namespace ilo::emulated

int main(int argc, char** argv) { return native::run_test(argc, argv, ilo::emulated::run); }
