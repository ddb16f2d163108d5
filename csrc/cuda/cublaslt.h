// Products of fp16 rows by cuBLASLt, found when the program runs: nothing of it is needed to build.
//
// Sums are in float32, and no product is split along d into sums of lower precision. The names and
// numbers below are those of cublasLt.h, the same in CUDA 12 and 13.
#pragma once

#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/errors.h"
#include "cuda/platform.h"
#include "cuda/runtime.h"

namespace ilo::gpu {

// As a path: do not look for the library.
constexpr const char* kNoLibrary = "none";

class LibraryProduct {
 public:
  static constexpr std::int64_t kWorkspaceBytes = std::int64_t{32} << 20;

  // Looks at `path` first (empty: nowhere in particular), then at what the process has loaded,
  // torch for one, then where the loader looks. Never throws for want of the library: see
  // available().
  explicit LibraryProduct(const std::string& path) {
    if (path == kNoLibrary) {
      problem_ = "not looked for";
      return;
    }
    if (!path.empty() && open(path.c_str(), 0)) return;
    for (const int loaded : {RTLD_NOLOAD, 0})
      for (const char* name : {"libcublasLt.so.13", "libcublasLt.so.12"})
        if (open(name, loaded)) return;
  }
  ~LibraryProduct() {
    plans_.clear();
    if (operation_) api_.destroy_operation(operation_);
    if (handle_) api_.destroy(handle_);
    // The library stays loaded: it does not like to be unloaded while a context lives.
  }
  LibraryProduct(const LibraryProduct&) = delete;
  LibraryProduct& operator=(const LibraryProduct&) = delete;

  bool available() const { return handle_ != nullptr; }
  const std::string& problem() const { return problem_; }  // why it is not
  std::string name() const {
    const std::size_t v = api_.version();  // 130100 is 13.1.0
    return text("cuBLASLt ", v / 10000, ".", v / 100 % 100, ".", v % 100);
  }

  // tile[i * ld + j] = sum over k of a[i * lda + k] * b[j * ldb + k].
  void product(cudaStream_t stream, const std::uint16_t* a, std::int64_t lda, int n_a,
               const std::uint16_t* b, std::int64_t ldb, int n_b, std::int64_t d, float* tile,
               std::int64_t ld) {
    if (n_a <= 0 || n_b <= 0) return;
    workspace_.reserve(kWorkspaceBytes);
    const Plan& plan =
        plan_of({n_a, n_b, d, lda, ldb, ld, alignment(a), alignment(b), alignment(tile)});
    const float one = 1, zero = 0;
    // Its matrices are stored by columns: the transposed tile = b as rows times a as columns.
    expect(
        api_.matmul(handle_, operation_, &one, b, plan.b, a, plan.a, &zero, tile, plan.tile, tile,
                    plan.tile, &plan.algorithm, workspace_.data(), kWorkspaceBytes, stream),
        "multiplying");
  }

 private:
  using Opaque = void*;
  using Status = int;
  static constexpr Status kNoMemory = 3;                         // CUBLAS_STATUS_ALLOC_FAILED
  static constexpr int kTypeFloat = 0, kTypeHalf = 2;            // cudaDataType
  static constexpr int kComputeFloat = 68;                       // CUBLAS_COMPUTE_32F
  static constexpr std::int32_t kTransposed = 1;                 // CUBLAS_OP_T
  static constexpr int kDescTransA = 3;                          // CUBLASLT_MATMUL_DESC_TRANSA
  static constexpr int kPrefWorkspace = 1, kPrefReductions = 3;  // CUBLASLT_MATMUL_PREF_...
  static constexpr int kPrefAlignments[] = {5, 6, 7, 8};         // of A, B, C, D
  static constexpr std::uint32_t kNoReductions = 0;              // CUBLASLT_REDUCTION_SCHEME_NONE

  struct Algorithm {
    std::uint64_t data[8];
  };
  struct Heuristic {
    Algorithm algorithm;
    std::size_t workspace;
    Status state;
    float waves;
    int reserved[4];
  };

  struct Api {
    Status (*create)(Opaque*);
    Status (*destroy)(Opaque);
    const char* (*status_name)(Status);
    std::size_t (*version)();
    Status (*create_operation)(Opaque*, int compute, int scale);
    Status (*destroy_operation)(Opaque);
    Status (*set_operation)(Opaque, int attribute, const void*, std::size_t);
    Status (*create_layout)(Opaque*, int type, std::uint64_t rows, std::uint64_t columns,
                            std::int64_t ld);
    Status (*destroy_layout)(Opaque);
    Status (*create_preference)(Opaque*);
    Status (*destroy_preference)(Opaque);
    Status (*set_preference)(Opaque, int attribute, const void*, std::size_t);
    Status (*heuristic)(Opaque, Opaque operation, Opaque a, Opaque b, Opaque c, Opaque d,
                        Opaque preference, int wanted, Heuristic*, int* found);
    Status (*matmul)(Opaque, Opaque operation, const void* alpha, const void* a, Opaque a_layout,
                     const void* b, Opaque b_layout, const void* beta, const void* c,
                     Opaque c_layout, void* d, Opaque d_layout, const Algorithm*, void* workspace,
                     std::size_t, cudaStream_t);
  };

  struct Plan {  // of a shape
    explicit Plan(const Api& used) : api(used) {}
    ~Plan() {
      for (const Opaque layout : {a, b, tile})
        if (layout) api.destroy_layout(layout);
    }
    Plan(const Plan&) = delete;
    Plan& operator=(const Plan&) = delete;
    const Api& api;
    Opaque a = nullptr, b = nullptr, tile = nullptr;
    Algorithm algorithm{};
  };

  // n_a, n_b, d, lda, ldb, ld, alignment of a, b, tile
  using Shape = std::array<std::int64_t, 9>;

  bool open(const char* name, int flag) {
    // Not closed again: whoever has loaded it keeps it, and so may we.
    void* const library = dlopen(name, RTLD_NOW | RTLD_LOCAL | flag);
    if (!library) {
      const char* const reason = dlerror();
      if (flag != RTLD_NOLOAD) add_problem(reason ? reason : name);
      return false;
    }
    const char* missing = nullptr;
    const auto find = [&](auto& function, const char* symbol) {
      void* const at = dlsym(library, symbol);
      if (!at) missing = symbol;
      function = reinterpret_cast<std::decay_t<decltype(function)>>(at);
    };
    find(api_.create, "cublasLtCreate");
    find(api_.destroy, "cublasLtDestroy");
    find(api_.status_name, "cublasLtGetStatusName");
    find(api_.version, "cublasLtGetVersion");
    find(api_.create_operation, "cublasLtMatmulDescCreate");
    find(api_.destroy_operation, "cublasLtMatmulDescDestroy");
    find(api_.set_operation, "cublasLtMatmulDescSetAttribute");
    find(api_.create_layout, "cublasLtMatrixLayoutCreate");
    find(api_.destroy_layout, "cublasLtMatrixLayoutDestroy");
    find(api_.create_preference, "cublasLtMatmulPreferenceCreate");
    find(api_.destroy_preference, "cublasLtMatmulPreferenceDestroy");
    find(api_.set_preference, "cublasLtMatmulPreferenceSetAttribute");
    find(api_.heuristic, "cublasLtMatmulAlgoGetHeuristic");
    find(api_.matmul, "cublasLtMatmul");
    if (missing) {
      add_problem(text(name, " has no ", missing));
      return false;
    }
    const Status status = api_.create(&handle_);
    if (status != 0) {
      handle_ = nullptr;
      add_problem(text(name, ": ", api_.status_name(status)));
      return false;
    }
    expect(api_.create_operation(&operation_, kComputeFloat, kTypeFloat), "describing a product");
    expect(api_.set_operation(operation_, kDescTransA, &kTransposed, sizeof kTransposed),
           "describing a product");
    problem_.clear();
    return true;
  }

  void add_problem(const std::string& problem) {
    if (problem_.find(problem) == std::string::npos)
      problem_ += (problem_.empty() ? "" : "; ") + problem;
  }

  void expect(Status status, const char* what) const {
    if (status == kNoMemory)
      throw OutOfMemory(text("cuBLASLt at ", what, ": ", api_.status_name(status)));
    if (status != 0)
      throw std::runtime_error(
          text("cuBLASLt failed at ", what, ": ", api_.status_name(status), " (", status, ")"));
  }

  static std::int64_t alignment(const void* p) {
    const auto address = reinterpret_cast<std::uintptr_t>(p);
    return static_cast<std::int64_t>(std::min<std::uintptr_t>(256, address & -address));
  }

  const Plan& plan_of(const Shape& shape) {
    const auto known = plans_.find(shape);
    if (known != plans_.end()) return *known->second;
    const auto [n_a, n_b, d, lda, ldb, ld, align_a, align_b, align_tile] = shape;
    auto plan = std::make_unique<Plan>(api_);
    expect(api_.create_layout(&plan->a, kTypeHalf, d, n_a, lda), "describing rows");
    expect(api_.create_layout(&plan->b, kTypeHalf, d, n_b, ldb), "describing rows");
    expect(api_.create_layout(&plan->tile, kTypeFloat, n_b, n_a, ld), "describing a tile");
    Opaque created = nullptr;
    expect(api_.create_preference(&created), "choosing an algorithm");
    const auto destroy = [this](void* p) { api_.destroy_preference(p); };
    const std::unique_ptr<void, decltype(destroy)> preference(created, destroy);
    const auto prefer = [&](int attribute, auto value) {
      expect(api_.set_preference(created, attribute, &value, sizeof value),
             "choosing an algorithm");
    };
    prefer(kPrefWorkspace, static_cast<std::uint64_t>(kWorkspaceBytes));
    prefer(kPrefReductions, kNoReductions);
    const std::int64_t alignments[] = {align_b, align_a, align_tile, align_tile};
    for (int i = 0; i < 4; ++i)
      prefer(kPrefAlignments[i], static_cast<std::uint32_t>(alignments[i]));
    Heuristic best{};
    int found = 0;
    const Status status = api_.heuristic(handle_, operation_, plan->b, plan->a, plan->tile,
                                         plan->tile, created, 1, &best, &found);
    if (status != 0 || found == 0)
      throw std::runtime_error(text("cuBLASLt has no algorithm for ", n_a, " x ", n_b, " x ", d,
                                    ": ", api_.status_name(status)));
    expect(best.state, "choosing an algorithm");
    plan->algorithm = best.algorithm;
    return *plans_.emplace(shape, std::move(plan)).first->second;
  }

  Api api_{};
  Opaque handle_ = nullptr, operation_ = nullptr;
  std::string problem_;
  std::map<Shape, std::unique_ptr<Plan>> plans_;
  Buffer<std::byte> workspace_;
};

}  // namespace ilo::gpu
