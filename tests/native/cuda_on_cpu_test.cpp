// The stand-in for a GPU (csrc/cuda/on_cpu) and the filter fused with the product (fused.h).
//
//     cuda_on_cpu_test [seed]
//
// Most of it asks that mistakes be found: a stand-in on which a wrong program gives right results
// would be worth nothing.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cuda/fused.h"
#include "cuda/on_cpu/controls.h"
#include "cuda/runtime.h"

namespace ilo::emulated {
namespace {

std::mt19937_64 random_bits;
std::string doing;  // what to print if it fails

void expect(bool right, const std::string& what) {
  if (!right) throw std::runtime_error(what + "; " + doing);
}
// That `run` throws an error of this type with `part` in its message.
template <class Error>
void expect_throw(const std::function<void()>& run, const std::string& part) {
  try {
    run();
  } catch (const Error& error) {
    expect(std::string(error.what()).find(part) != std::string::npos,
           std::string("unexpected message: ") + error.what());
    return;
  }
  expect(false, "no error with '" + part + "'");
}
int whole(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_bits); }
float real(float low, float high) {
  return std::uniform_real_distribution<float>(low, high)(random_bits);
}

template <class T>
Buffer<T> to_device(const std::vector<T>& values) {
  Buffer<T> out(values.size());
  check(
      cudaMemcpyAsync(out.data(), values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice),
      "upload");
  return out;
}
template <class T>
std::vector<T> to_host(const T* from, std::size_t count) {
  std::vector<T> out(count);
  check(cudaMemcpyAsync(out.data(), from, count * sizeof(T), cudaMemcpyDeviceToHost), "download");
  return out;
}

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
    expect(e.up == (lane < 3 ? lane : lane - 3), "shfl_up");
    expect(e.down == (lane + 5 > 31 ? lane : lane + 5), "shfl_down");
    expect(e.xored == (lane ^ 9) && e.third == 3 && e.eighth == lane / 8 * 8 + 3, "shfl");
    expect(e.wide == (lane ^ 1) + 0.25, "shfl of doubles");
    expect(e.whole == (1ll << 40) + (lane % 8 + 4 > 7 ? lane : lane + 4), "shfl in parts");
    expect(e.ballot == thirds, "ballot");
    expect(e.halves == (lane < 16 ? 0x00005555u : 0x55550000u), "ballot of halves");
  }
}

void test_threads() {
  expect(reverses<true>(), "a block with barriers");
  expect(!reverses<false>(), "a forgotten barrier was not seen");
  test_exchange();
  const auto stops = [](void (*kernel)(int), const char* part) {
    expect_throw<std::logic_error>([&] { launch_wrong(kernel); }, part);
    expect(reverses<true>(), "a block after an error");
  };
  stops(some_wait, "deadlock: of 128 threads, 121 have ended, 7 wait at __syncthreads");
  stops(wait_apart, "divergent");
  stops(lanes_missing, "deadlock");
  stops(apart_in_warp, "divergent threads of a warp");
  stops(not_in_mask, "not in its own mask");
  expect_throw<std::runtime_error>([] { launch(nullptr, dim3(1), dim3(1025), 0, some_wait, 0); },
                                   "configuration");
  expect_throw<std::runtime_error>(
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
          expect(reverses<true>(), "a block among others");
          if (t % 3 == 0)
            expect_throw<std::logic_error>([] { launch_wrong(some_wait); }, "deadlock");
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
  expect(live_bytes() == 0, "memory is left");
  {
    Buffer<int> a(10);
    expect(live_bytes() == 40, "live bytes");
    for (const int x : to_host(a.data(), 10)) expect(x == -1, "memory is not poisoned");
    for (const long long at : {10ll, -1ll}) {
      launch(nullptr, dim3(1), dim3(1), 0, set_at, a.data(), at, 1);
      expect_throw<std::logic_error>(
          [] { check(cudaStreamSynchronize(nullptr), "wait"); },
          at < 0 ? "before the beginning of 40" : "beyond the end of 40");
      // Mended, for what comes.
      std::memset(a.data() + at, 0xa5, sizeof(int));
    }
    launch(nullptr, dim3(1), dim3(1), 64, fill_shared, 16, reinterpret_cast<unsigned*>(a.data()));
    expect(to_host(a.data(), 1)[0] == 15, "dynamic shared memory");
    launch(nullptr, dim3(1), dim3(1), 64, fill_shared, 17, reinterpret_cast<unsigned*>(a.data()));
    expect_throw<std::logic_error>([] { check(cudaStreamSynchronize(nullptr), "wait"); },
                                   "beyond its 64 bytes of shared memory");

    // An error in a destructor waits for the next call that waits.
    Buffer<int> b(5);
    launch(nullptr, dim3(1), dim3(1), 0, set_at, b.data(), 5, 1);
    b.release();
    expect(problem_pending(), "an error got lost");
    expect_throw<std::logic_error>([] { check(cudaStreamSynchronize(nullptr), "wait"); }, "beyond");
    expect(!problem_pending(), "an error comes twice");

    set_memory_limit(100);
    std::size_t left = 0, total = 0;
    check(cudaMemGetInfo(&left, &total), "memory");
    expect(left == 60 && total == 100, "memory information");
    expect_throw<OutOfMemory>([] { Buffer<char> more(61); }, "out of memory");
    Buffer<char> more(60);
    expect_throw<OutOfMemory>([&] { more.reserve(61); }, "out of memory");
    expect(more.data() == nullptr && more.size() == 0 && live_bytes() == 40, "after a failure");
    set_memory_limit(0);
    fail_allocation(2);
    more.reserve(3);
    expect_throw<OutOfMemory>([] { PinnedBuffer<char> pinned(1); }, "pinned");
    PinnedBuffer<int> pinned(10);
    more.reserve(2);
    expect(more.size() == 3 && peak_bytes() >= 43, "a buffer that is large enough");
    Buffer<char> moved = std::move(more);
    expect(moved.size() == 3, "a moved buffer");

    // Kinds of memory.
    int host[10];
    expect(
        cudaMemcpyAsync(a.data(), host, 40, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue &&
            cudaMemcpyAsync(host, a.data(), 40, cudaMemcpyHostToDevice) == cudaErrorInvalidValue &&
            cudaMemcpyAsync(a.data(), host, 44, cudaMemcpyHostToDevice) == cudaErrorInvalidValue &&
            cudaMemcpyAsync(a.data(), pinned.data(), 4, cudaMemcpyDeviceToDevice) ==
                cudaErrorInvalidValue &&
            cudaMemsetAsync(pinned.data(), 0, 40) == cudaErrorInvalidValue,
        "wrong kinds of memory are not seen");
    cudaPointerAttributes kind;
    check(cudaPointerGetAttributes(&kind, pinned.data() + 3), "kind");
    expect(kind.type == cudaMemoryTypeHost, "pinned memory");
    check(cudaPointerGetAttributes(&kind, host), "kind");
    expect(kind.type == cudaMemoryTypeUnregistered, "pageable memory");
  }
  expect(live_bytes() == 0, "memory is left");
  expect_throw<std::runtime_error>([] { DeviceGuard second(1); }, "invalid device");

  // Pitches.
  std::vector<int> host(35);
  std::iota(host.begin(), host.end(), 0);
  Buffer<int> a(15);
  check(cudaMemsetAsync(a.data(), 0, a.bytes()), "clear");
  check(cudaMemcpy2DAsync(a.data() + 1, 20, host.data() + 2, 28, 12, 3, cudaMemcpyHostToDevice),
        "upload");
  const std::vector<int> got = to_host(a.data(), 15);
  for (int i = 0; i < 15; ++i)
    expect(got[i] == (i % 5 == 0 || i % 5 == 4 ? 0 : i / 5 * 7 + i % 5 + 1), "rows of a copy");
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
  expect(result[0] == -7, "work was done before anybody waited");
  back.synchronize();
  second.synchronize();
  return result[0] == 6;
}

void test_streams() {
  int wrong = 0;
  for (int round = 0; round < 30; ++round) {
    set_order(round);
    doing = "order " + std::to_string(round);
    expect(chain(true), "streams with events");
    wrong += !chain(false);
    if (round == 0) expect(wrong == 1, "forgotten events were not seen");
  }
  expect(wrong > 20, "forgotten events were hardly seen");
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
  expect(asked > 0 && result[0] == 2 && result[1] == 1, "copies");

  // A stream that is destroyed still does its work.
  {
    Stream gone;
    launch(gone, dim3(1), dim3(1), 0, add_one, a.data(), a.data() + 1);
    event.record(gone);
  }
  event.synchronize();
  expect(to_host(a.data(), 1)[0] == 2, "a stream that is gone");
}

// ---- fp16, copies and products of the tensor core

void test_half() {
  for (unsigned bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = half_to_float(half);
    const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
    if (exponent == 31 && mantissa) {
      expect(std::isnan(value) && std::isnan(half_to_float(float_to_half(value))), "NaN");
      continue;
    }
    double right = exponent ? std::ldexp(1024 + mantissa, exponent - 25) : mantissa * 0x1p-24;
    if (exponent == 31) right = std::numeric_limits<double>::infinity();
    expect(value == (bits & 0x8000 ? -right : right), "half_to_float");
    expect(float_to_half(value) == half, "float_to_half");
    if (exponent == 31 || bits & 0x8000) continue;
    // Between this and the next: below, at and above the middle.
    const float next = exponent == 30 && mantissa == 1023
                           ? 65536.0f
                           : half_to_float(static_cast<std::uint16_t>(bits + 1));
    const float middle = (value + next) / 2;
    const auto above = static_cast<std::uint16_t>(bits + 1);
    expect(float_to_half(middle) == (bits & 1 ? above : half) &&
               float_to_half(std::nextafter(middle, 0.0f)) == half &&
               float_to_half(std::nextafter(middle, 1e9f)) == above,
           "rounding to fp16");
  }
  expect(float_to_half(1e9f) == 0x7c00 && float_to_half(-1e-9f) == 0x8000, "ends of fp16");
}

// out: what shared memory holds at each of three moments.
__global__ void copy_in_steps(const unsigned* from, unsigned* out) {
  auto* const shared = dynamic_shared<unsigned>();
  cp_async_16(shared, from);
  cp_async_commit();
  cp_async_16(shared + 4, from + 4);
  cp_async_16(shared + 8, from + 8);
  cp_async_commit();
  const auto show = [&](int moment) {
    for (int i = 0; i < 3; ++i) out[moment * 3 + i] = shared[i * 4 + 1];
  };
  cp_async_wait<2>();
  show(0);
  cp_async_wait<1>();
  show(1);
  cp_async_wait<0>();
  show(2);
}

template <bool kSums>
__global__ void multiply_tile(const std::uint16_t* a, const std::uint16_t* b, float* c) {
  auto* const shared = dynamic_shared<std::uint16_t>();  // [16][16] of a, [16][16] of b
  for (int i = static_cast<int>(threadIdx.x); i < 256; i += 32) {
    shared[i] = a[i];
    shared[256 + i] = b[i];
  }
  __syncwarp();
  const int lane = static_cast<int>(threadIdx.x);
  unsigned fa[4], fb[4];
  ldmatrix_x4(fa, shared + lane % 16 * 16 + lane / 16 * 8);
  ldmatrix_x4(fb, shared + 256 + (lane / 16 * 8 + lane % 8) * 16 + lane / 8 % 2 * 8);
  for (int part = 0; part < 2; ++part) {
    const unsigned pair[2] = {fb[part * 2], fb[part * 2 + 1]};
    float sum[4];
    for (int i = 0; i < 4; ++i) {
      const int row = lane / 4 + i / 2 * 8, column = part * 8 + lane % 4 * 2 + i % 2;
      sum[i] = kSums ? c[row * 16 + column] : 0;
    }
    mma_m16n8k16(sum, fa, pair);
    for (int i = 0; i < 4; ++i)
      c[(lane / 4 + i / 2 * 8) * 16 + part * 8 + lane % 4 * 2 + i % 2] = sum[i];
  }
}

void test_tensor_core() {
  const Buffer<unsigned> from =
      to_device<unsigned>({10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21});
  Buffer<unsigned> out(9);
  launch(nullptr, dim3(1), dim3(1), 48, copy_in_steps, from.data(), out.data());
  const unsigned nothing = 0xffffffffu;
  expect(to_host(out.data(), 9) ==
             std::vector<unsigned>{nothing, nothing, nothing, 11, nothing, nothing, 11, 15, 19},
         "copies land when they are waited for, not before");

  for (int round = 0; round < 20; ++round) {
    std::vector<std::uint16_t> a(256), b(256);
    std::vector<float> c(256);
    const int spread = round % 2 ? 8 : 0;
    const auto draw = [&] { return std::ldexp(real(-1, 1), whole(-spread, spread)); };
    for (int i = 0; i < 256; ++i) {
      a[i] = float_to_half(draw());
      b[i] = float_to_half(draw());
      c[i] = draw();
    }
    const Buffer<std::uint16_t> da = to_device(a), db = to_device(b);
    const Buffer<float> dc = to_device(c);
    launch(nullptr, dim3(1), dim3(32), 1024, multiply_tile<true>, da.data(), db.data(), dc.data());
    const std::vector<float> got = to_host(dc.data(), 256);
    for (int i = 0; i < 256; ++i) {
      double right = c[i], sizes = std::fabs(right);
      for (int k = 0; k < 16; ++k) {
        const double term = static_cast<double>(half_to_float(a[i / 16 * 16 + k])) *
                            half_to_float(b[i % 16 * 16 + k]);
        right += term;
        sizes += std::fabs(term);
      }
      expect(std::fabs(got[i] - right) <= 18 * 0x1p-23 * sizes, "a product of the tensor core");
    }
  }

  // Where it cuts: an addend below 24 bits of the largest is lost, whatever its sign.
  const auto one = [](float sum, std::vector<std::pair<float, float>> terms) {
    std::vector<std::uint16_t> a(256), b(256);
    std::vector<float> c(256, sum);
    for (std::size_t k = 0; k < terms.size(); ++k) {
      a[k] = float_to_half(terms[k].first);
      b[k] = float_to_half(terms[k].second);
    }
    const Buffer<std::uint16_t> da = to_device(a), db = to_device(b);
    const Buffer<float> dc = to_device(c);
    launch(nullptr, dim3(1), dim3(32), 1024, multiply_tile<true>, da.data(), db.data(), dc.data());
    return to_host(dc.data(), 1)[0];
  };
  const std::vector<std::pair<float, float>> tiny(16, {0x1p-12f, 0x1p-12f});
  expect(one(1, tiny) == 1 && one(-1, tiny) == -1, "terms below the sum are cut");
  expect(one(0, tiny) == 0x1p-20f, "terms of one size");
  expect(one(1, {{0x1p-12f, -0x1p-11f}}) == 1 - 0x1p-23f, "the last bit");
  expect(one(0x1p24f - 1, {{1, 1}, {1, 1}}) == 0x1p24f, "the sum is cut");
  expect(std::isnan(one(0, {{std::numeric_limits<float>::infinity(), 1}})), "infinity");
}

// ---- the fused filter

void test_tiles() {
  using namespace fused;
  for (const int rows : {1, 2, 7, 8, 9, 16, 23, 40})
    for (const int columns : {1, 3, 8, 17, rows}) {
      std::set<std::pair<int, int>> seen;
      for (int block = 0; block < rows * columns; ++block) {
        const Tile t = rectangle(block, rows, columns);
        expect(t.row >= 0 && t.row < rows && t.column >= 0 && t.column < columns, "a tile outside");
        seen.emplace(t.row, t.column);
      }
      expect(static_cast<int>(seen.size()) == rows * columns, "a tile twice");
    }
  // Every tile with a pair of different rows above the diagonal, and none twice.
  for (const int tiles : {1, 2, 3, 7, 8, 9, 15, 16, 17, 23, 40})
    for (const int count : {tiles * kColumns - kColumns + 1, tiles * kColumns - kRows,
                            tiles * kColumns - kRows + 1, tiles * kColumns}) {
      const int rows = (count + kRows - 1) / kRows;
      std::set<std::pair<int, int>> seen;
      for (int block = 0; block < all_stairs(rows, tiles); ++block) {
        const Tile t = upper_triangle(block, tiles);
        expect(t.row >= 0 && t.row < rows && t.column >= 0 && t.column < tiles, "a tile outside");
        expect(t.row * kRows < (t.column + 1) * kColumns, "a tile below the diagonal");
        expect(seen.emplace(t.row, t.column).second, "a tile of the triangle twice");
      }
      for (int row = 0; row < rows; ++row)
        for (int column = 0; column < tiles; ++column)
          expect(row * kRows >= std::min((column + 1) * kColumns, count) - 1 ||
                     seen.count({row, column}),
                 "a tile of the triangle is missing");
    }
  expect(all_stairs(0, 0) == 0, "tiles of nothing");
}

// Rows of small whole numbers, of which sums are exact.
struct Operand {
  int first, count, d;
  std::int64_t stride;
  std::vector<std::uint16_t> packed;
  std::vector<float> factor, half;
  Buffer<std::uint16_t> packed_there;
  Buffer<float> factor_there, half_there;

  Operand(int first_, int count_, int d_)
      : first(first_), count(count_), d(d_), stride((d + 63) / 64 * 64 + 64 * whole(0, 1)) {
    packed.assign(count * stride, 0);
    for (int r = 0; r < count; ++r) {
      for (int k = 0; k < d; ++k) packed[r * stride + k] = float_to_half(whole(-9, 9));
      factor.push_back(std::ldexp(1.0f, whole(-3, 3)));
      half.push_back(real(-30, 30));
    }
    packed_there = to_device(packed);
    factor_there = to_device(factor);
    half_there = to_device(half);
  }
  Side side() const {
    return {packed_there.data(), factor_there.data(), half_there.data(), stride, first, count};
  }
  float sum(int row, const Operand& other, int column) const {
    float total = 0;
    for (int k = 0; k < d; ++k)
      total += half_to_float(packed[row * stride + k]) *
               half_to_float(other.packed[column * other.stride + k]);
    return total;
  }
};

struct ListsThere {
  int rows, capacity;
  std::vector<float> threshold;
  Buffer<Hit> hits;
  Buffer<int> count;
  Buffer<float> threshold_there;
  Buffer<unsigned> lost;
  std::vector<std::map<int, float>> right;  // scores by column

  ListsThere(int rows_, int capacity_, float lowest, float highest)
      : rows(rows_), capacity(capacity_), right(rows) {
    for (int r = 0; r < rows; ++r)
      threshold.push_back(whole(0, 9) ? real(lowest, highest)
                                      : -std::numeric_limits<float>::infinity());
    hits.reserve(static_cast<std::size_t>(rows) * capacity);
    count = to_device(std::vector<int>(rows, 0));
    threshold_there = to_device(threshold);
    lost = to_device(std::vector<unsigned>(rows, kNothing));
  }
  Lists lists() {
    return {hits.data(), count.data(), threshold_there.data(), lost.data(), capacity};
  }
  void look(int row, int column, float score) {
    if (score > threshold[row])
      expect(right[row].emplace(column, score).second, "the test looks at a pair twice");
  }
  void compare() {
    const std::vector<Hit> got = to_host(hits.data(), hits.size());
    const std::vector<int> counts = to_host(count.data(), rows);
    const std::vector<unsigned> losses = to_host(lost.data(), rows);
    for (int r = 0; r < rows; ++r) {
      std::map<int, float> left = right[r];
      expect(counts[r] == static_cast<int>(left.size()),
             "row " + std::to_string(r) + " has " + std::to_string(counts[r]) + " hits, not " +
                 std::to_string(left.size()));
      for (int i = 0; i < std::min(counts[r], capacity); ++i) {
        const Hit& hit = got[static_cast<std::size_t>(r) * capacity + i];
        const auto at = left.find(hit.column);
        expect(at != left.end() && at->second == hit.score,
               "a hit that is none, or is there twice");
        left.erase(at);
      }
      unsigned best = kNothing;
      for (const auto& [column, score] : left) best = std::max(best, ordered(score));
      expect(losses[r] == best, "the best that was lost");
    }
  }
};

void try_filter(int n_rows, int n_columns, int d, bool both, bool same, bool overlapping,
                bool with_own, int capacity) {
  doing = std::to_string(n_rows) + " x " + std::to_string(n_columns) + " rows of " +
          std::to_string(d) + (both ? ", both" : "") + (same ? ", the same" : "") +
          (overlapping ? ", overlapping" : "") + (with_own ? ", own" : "") + ", capacity " +
          std::to_string(capacity);
  const int first = whole(0, 5);
  const Operand rows(first, n_rows, d);
  const int first_column = same ? first : overlapping ? first + n_rows / 2 : first + n_rows + 3;
  const Operand others(first_column, same ? 0 : n_columns, d);
  const Operand& columns = same ? rows : others;
  const int end = std::max(first + n_rows, first_column + columns.count);
  const float wide = 40.0f * std::sqrt(static_cast<float>(d + 1));
  ListsThere of_rows(end, capacity, -wide, 3 * wide), of_columns(end, capacity, -wide, 3 * wide);
  ListsThere& back = same ? of_rows : of_columns;
  std::vector<int> own(end);
  for (int i = 0; i < end; ++i) own[i] = !with_own ? i : whole(0, 3) ? whole(0, end - 1) : -1;
  const Buffer<int> own_there = to_device(own);

  for (int r = 0; r < n_rows; ++r)
    for (int c = 0; c < columns.count; ++c) {
      const int number = first + r, other = first_column + c;
      if (both && same && r >= c) continue;
      const float sum = rows.sum(r, columns, c);
      const float product = sum * rows.factor[r] * columns.factor[c];
      if ((both && same) || own[number] != other)
        of_rows.look(number, other, product - columns.half[c]);
      if (both && (same || own[other] != number)) back.look(other, number, product - rows.half[r]);
    }
  check(cudaStreamSynchronize(nullptr), "uploads");
  fused_filter(nullptr, rows.side(), columns.side(), d, both, of_rows.lists(), back.lists(),
               with_own ? own_there.data() : nullptr);
  of_rows.compare();
  of_columns.compare();
}

// Eight threads that read a chunk of eight rows each (ldmatrix), or write two rows (cp.async), meet
// eight different groups of banks.
void test_banks() {
  using namespace fused;
  for (int row = 0; row < kColumns; row += 8)
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      std::set<int> read, written;
      for (int i = 0; i < 8; ++i) {
        read.insert(swizzled(row + i, chunk) / kChunk % 8);
        written.insert(swizzled(row + 2 * chunk + i / kChunks, i % kChunks) / kChunk % 8);
      }
      expect(read.size() == 8 && written.size() == 8, "a conflict of banks");
    }
}

void test_fused() {
  test_tiles();
  test_banks();
  for (int round = 0; round < 2; ++round) {
    set_order(round);
    for (const bool both : {false, true}) {
      //         rows columns   d         same  overlap  own  capacity
      try_filter(1, 1, 1, both, false, false, false, 4);
      try_filter(128, 256, 64, both, false, false, false, 300);
      try_filter(130, 257, 33, both, false, false, false, 300);
      try_filter(257, 130, 200, both, false, false, true, 20);
      try_filter(300, 300, 100, both, true, false, false, 300);
      try_filter(129, 129, 16, both, true, false, false, 5);
      try_filter(65, 65, 130, both, true, false, false, 65);
      // About the ends of tiles, and of steps.
      const int wide = 256 * whole(1, 2) + whole(-1, 1), high = 128 * whole(1, 4) + whole(-1, 1);
      const int d = 32 * whole(1, 4) + whole(-1, 1);
      try_filter(high, wide, d, both, false, false, whole(0, 1), 700);
      try_filter(wide, high, d, both, false, false, whole(0, 1), 3);
      for (const int n : {wide, high}) try_filter(n, n, d, both, true, false, false, 700);
    }
    for (const int n : {127, 128, 255, 256, 257, 384, 385})
      try_filter(n, n, 9, true, true, false, false, 9);
    try_filter(150, 170, 70, false, false, true, false, 10);
    try_filter(150, 170, 70, false, true, false, true, 200);
    try_filter(90, 140, 160, false, false, true, true, 200);
    try_filter(0, 140, 30, false, false, false, false, 8);
    try_filter(140, 0, 30, true, false, false, false, 8);
    try_filter(10, 12, 0, true, false, false, false, 20);
  }
  try_filter(2180, 2180, 5, true, true, false, false, 9);  // more than a group of tiles
  set_order(0);
}

void run(std::uint64_t seed) {
  random_bits.seed(seed);
  doing = "seed " + std::to_string(seed);
  const std::pair<const char*, void (*)()> tests[] = {
      {"threads", test_threads},    {"many hosts", test_many_hosts},
      {"memory", test_memory},      {"streams", test_streams},
      {"fp16", test_half},          {"tensor core", test_tensor_core},
      {"fused filter", test_fused},
  };
  for (const auto& [name, test] : tests) {
    doing = name;
    try {
      test();
    } catch (const std::exception& error) {
      throw std::runtime_error(std::string(name) + ": " + error.what() + "; seed " +
                               std::to_string(seed));
    }
  }
}

}  // namespace
}  // namespace ilo::emulated

int main(int count, char** arguments) {
  try {
    ilo::emulated::run(count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 1);
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
    return 1;
  }
  std::printf("all right\n");
}
