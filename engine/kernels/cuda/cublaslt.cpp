// Matrix products by cuBLASLt, with one plan per shape from the library's heuristic.
// The choice depends only on shape, alignment and device,
// and partial sums are added in the workspace, never by atomics. So equal calls give equal bits.
#include <cublasLt.h>

#include <map>
#include <mutex>
#include <tuple>

#include "engine/base/check.h"
#include "engine/base/gpu.h"
#include "engine/base/log.h"
#include "engine/kernels/cuda/libraries.h"
#include "engine/kernels/cuda/runtime.h"
#include "engine/kernels/fallback.h"

namespace reprise::kernels::cuda {
namespace {

constexpr std::size_t workspace_limit = std::size_t{32} << 20;

// The library's functions that this file calls.
struct CublasLt {
  decltype(&cublasLtCreate) create;
  decltype(&cublasLtGetStatusString) status_string;
  decltype(&cublasLtMatmulDescCreate) desc_create;
  decltype(&cublasLtMatmulDescSetAttribute) desc_set;
  decltype(&cublasLtMatrixLayoutCreate) layout_create;
  decltype(&cublasLtMatmulPreferenceCreate) preference_create;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set;
  decltype(&cublasLtMatmulPreferenceDestroy) preference_destroy;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic;
  decltype(&cublasLtMatmul) matmul;

  CublasLt() {
    const std::string major = std::to_string(CUBLAS_VER_MAJOR);
    const Library lib("cuBLASLt " + major, {"libcublasLt.so." + major}, "linear layers",
                      "it comes with the CUDA Toolkit");
    lib.find(create, "cublasLtCreate");
    lib.find(status_string, "cublasLtGetStatusString");
    lib.find(desc_create, "cublasLtMatmulDescCreate");
    lib.find(desc_set, "cublasLtMatmulDescSetAttribute");
    lib.find(layout_create, "cublasLtMatrixLayoutCreate");
    lib.find(preference_create, "cublasLtMatmulPreferenceCreate");
    lib.find(preference_set, "cublasLtMatmulPreferenceSetAttribute");
    lib.find(preference_destroy, "cublasLtMatmulPreferenceDestroy");
    lib.find(heuristic, "cublasLtMatmulAlgoGetHeuristic");
    lib.find(matmul, "cublasLtMatmul");
  }
};
const CublasLt& lt() {
  static const CublasLt* functions = new CublasLt;
  return *functions;
}

std::string text_of(const Product& p) {
  return fmt::format("[{}, {}] x [{}, {}]{}", p.m, p.k, p.k, p.n, p.bias == nullptr ? "" : " + bias");
}

void check(cublasStatus_t status, const char* call, const Product& p) {
  REPRISE_CHECK(status == CUBLAS_STATUS_SUCCESS, "cuda:{}: {} failed: {}\n  product {}", current_device(),
                call, lt().status_string(status), text_of(p));
}

// Counts the plain kernel that runs in the library's place. Returns false.
bool plain_instead(const Product& p, const char* why) {
  count_fallback(fmt::format("product {}: {}, a plain cuda kernel runs it", text_of(p), why));
  return false;
}

// Returns the largest power of two up to 256 that divides the address.
std::uint32_t alignment_of(const void* p) {
  const auto address = reinterpret_cast<std::uintptr_t>(p);
  std::uint32_t unit = 256;
  while (address % unit != 0) unit /= 2;
  return unit;
}

using Key = std::tuple<int, std::int64_t, std::int64_t, std::int64_t, bool, bool, bool, bool, std::uint32_t,
                       std::uint32_t, std::uint32_t>;

struct Plan {
  bool usable = false;
  cublasLtMatmulDesc_t desc = nullptr;
  cublasLtMatrixLayout_t left = nullptr, right = nullptr, out = nullptr;
  cublasLtMatmulAlgo_t algo{};
  std::size_t workspace = 0;
};

cublasLtHandle_t handle() {
  static auto* handles = new std::map<int, cublasLtHandle_t>;
  cublasLtHandle_t& h = (*handles)[current_device()];
  if (h == nullptr) {
    const cublasStatus_t status = lt().create(&h);
    REPRISE_CHECK(status == CUBLAS_STATUS_SUCCESS, "cuda:{}: cublasLtCreate failed: {}", current_device(),
                  lt().status_string(status));
  }
  return h;
}

// The library is column-major: our row-major [m,n] is its n x m.
// So y = a b becomes y' = b' a', with our b as its left operand and our a as its right one.
void describe(const Product& p, Plan& plan) {
  const auto compute = gpu::tf32() ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
  check(lt().desc_create(&plan.desc, compute, CUDA_R_32F), "cublasLtMatmulDescCreate", p);
  const auto set = [&](cublasLtMatmulDescAttributes_t what, const auto& value) {
    check(lt().desc_set(plan.desc, what, &value, sizeof value), "cublasLtMatmulDescSetAttribute", p);
  };
  const cublasOperation_t left = p.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N,
                          right = p.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N;
  set(CUBLASLT_MATMUL_DESC_TRANSA, left);
  set(CUBLASLT_MATMUL_DESC_TRANSB, right);
  if (p.bias != nullptr) {
    const cublasLtEpilogue_t with_bias = CUBLASLT_EPILOGUE_BIAS;
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, with_bias);
    set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.bias);
  }
  const auto layout = [&](cublasLtMatrixLayout_t* to, std::int64_t rows, std::int64_t columns) {
    check(lt().layout_create(to, CUDA_R_32F, static_cast<std::uint64_t>(rows),
                             static_cast<std::uint64_t>(columns), rows),
          "cublasLtMatrixLayoutCreate", p);
  };
  // Sizes as stored, the inner one first: b is row-major [k,n], or [n,k] if transposed.
  layout(&plan.left, p.transpose_b ? p.k : p.n, p.transpose_b ? p.n : p.k);
  layout(&plan.right, p.transpose_a ? p.m : p.k, p.transpose_a ? p.k : p.m);
  layout(&plan.out, p.n, p.m);
}

Plan make_plan(const Product& p) {
  Plan plan;
  describe(p, plan);
  cublasLtMatmulPreference_t preference = nullptr;
  check(lt().preference_create(&preference), "cublasLtMatmulPreferenceCreate", p);
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t what, const auto& value) {
    check(lt().preference_set(preference, what, &value, sizeof value), "cublasLtMatmulPreferenceSetAttribute",
          p);
  };
  const std::uint64_t limit = workspace_limit;
  const std::uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, limit);
  prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, reductions);
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(p.b));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(p.a));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(p.y));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(p.y));
  cublasLtMatmulHeuristicResult_t found{};
  int count = 0;
  const cublasStatus_t status = lt().heuristic(handle(), plan.desc, plan.left, plan.right, plan.out, plan.out,
                                               preference, 1, &found, &count);
  lt().preference_destroy(preference);
  plan.usable = status == CUBLAS_STATUS_SUCCESS && count > 0 && found.state == CUBLAS_STATUS_SUCCESS;
  plan.algo = found.algo;
  plan.workspace = found.workspaceSize;
  return plan;
}

}  // namespace

bool cublas_product(const Product& p) {
  if (p.bias != nullptr && alignment_of(p.bias) < 16)  // a bias that is a slice of other memory
    return plain_instead(p, "cuBLASLt needs an aligned bias");
  static std::mutex mutex;
  static auto* plans = new std::map<Key, Plan>;
  const std::lock_guard lock(mutex);
  const Key key{current_device(),
                p.m,
                p.n,
                p.k,
                p.transpose_a,
                p.transpose_b,
                p.bias != nullptr,
                gpu::tf32(),
                alignment_of(p.a),
                alignment_of(p.b),
                alignment_of(p.y)};
  auto found = plans->find(key);
  if (found == plans->end()) found = plans->emplace(key, make_plan(p)).first;
  Plan& plan = found->second;
  if (!plan.usable) return plain_instead(p, "cuBLASLt has no algorithm");
  if (p.bias != nullptr)
    check(lt().desc_set(plan.desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &p.bias, sizeof p.bias),
          "cublasLtMatmulDescSetAttribute", p);
  const Scratch workspace(plan.workspace);
  const float one = 1, zero = 0;
  const cublasStatus_t status =
      lt().matmul(handle(), plan.desc, &one, p.b, plan.left, p.a, plan.right, &zero, p.y, plan.out, p.y,
                  plan.out, &plan.algo, workspace.data(), plan.workspace, stream());
  if (status == CUBLAS_STATUS_SUCCESS) {
    count_launch();
    return true;
  }
  if (status == CUBLAS_STATUS_ALLOC_FAILED) check(status, "cublasLtMatmul", p);
  log_warning(fmt::format("cuda:{}: cublasLtMatmul failed ({}) and is left out\n  product {}",
                          current_device(), lt().status_string(status), text_of(p)));
  plan.usable = false;  // equal in every run: the refusal depends on the shape
  return plain_instead(p, "cuBLASLt refused its own algorithm");
}

}  // namespace reprise::kernels::cuda
