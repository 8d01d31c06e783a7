// An imitation of the part of cuBLASLt that engine/kernels/cuda/cublaslt.cpp calls. Products are
// computed by loops, column-major as in cuBLASLt. It has no algorithm for some shapes and refuses its
// own for others. It is compiled with CUDA's headers, so it includes none of the emulation's.
#include <cublasLt.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include "tests/emulation/access.h"

namespace reprise::emulation {
namespace {

void expect(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "imitation of cuBLASLt: %s\n", what);
  std::abort();
}

struct Description {
  cublasOperation_t left = CUBLAS_OP_N, right = CUBLAS_OP_N;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const float* bias = nullptr;
};
struct Layout {
  std::uint64_t rows, columns;
  std::int64_t pitch;
};
Description& of(cublasLtMatmulDesc_t d) {
  return *reinterpret_cast<Description*>(d);
}
const Layout& of(cublasLtMatrixLayout_t layout) {
  return *reinterpret_cast<const Layout*>(layout);
}

constexpr std::size_t workspace = 512;

cublasStatus_t create(cublasLtHandle_t* handle) {
  *handle = reinterpret_cast<cublasLtHandle_t>(new char);
  return CUBLAS_STATUS_SUCCESS;
}
const char* status_string(cublasStatus_t) {
  return "not supported";
}
cublasStatus_t desc_create(cublasLtMatmulDesc_t* desc, cublasComputeType_t compute, cudaDataType_t scale) {
  expect(compute == CUBLAS_COMPUTE_32F && scale == CUDA_R_32F, "TF32 without permission");
  *desc = reinterpret_cast<cublasLtMatmulDesc_t>(new Description);
  return CUBLAS_STATUS_SUCCESS;
}
template <class T>
void take(T& to, const void* from, std::size_t bytes) {
  expect(bytes == sizeof to, "an attribute of another size");
  std::memcpy(&to, from, bytes);
}
cublasStatus_t desc_set(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t what, const void* value,
                        std::size_t bytes) {
  if (what == CUBLASLT_MATMUL_DESC_TRANSA) take(of(desc).left, value, bytes);
  if (what == CUBLASLT_MATMUL_DESC_TRANSB) take(of(desc).right, value, bytes);
  if (what == CUBLASLT_MATMUL_DESC_EPILOGUE) take(of(desc).epilogue, value, bytes);
  if (what == CUBLASLT_MATMUL_DESC_BIAS_POINTER) take(of(desc).bias, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t layout_create(cublasLtMatrixLayout_t* layout, cudaDataType type, std::uint64_t rows,
                             std::uint64_t columns, std::int64_t pitch) {
  expect(type == CUDA_R_32F && pitch >= static_cast<std::int64_t>(rows),
         "a layout that is not f32 by columns");
  *layout = reinterpret_cast<cublasLtMatrixLayout_t>(new Layout{rows, columns, pitch});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t preference_create(cublasLtMatmulPreference_t* preference) {
  *preference = reinterpret_cast<cublasLtMatmulPreference_t>(new char);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t preference_set(cublasLtMatmulPreference_t, cublasLtMatmulPreferenceAttributes_t, const void*,
                              std::size_t) {
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t preference_destroy(cublasLtMatmulPreference_t preference) {
  delete reinterpret_cast<char*>(preference);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t heuristic(cublasLtHandle_t, cublasLtMatmulDesc_t, cublasLtMatrixLayout_t,
                         cublasLtMatrixLayout_t, cublasLtMatrixLayout_t out, cublasLtMatrixLayout_t,
                         cublasLtMatmulPreference_t, int asked, cublasLtMatmulHeuristicResult_t found[],
                         int* count) {
  expect(asked == 1, "more than one algorithm");
  *count = of(out).rows == 19 ? 0 : 1;
  found[0] = {};
  found[0].state = CUBLAS_STATUS_SUCCESS;
  found[0].workspaceSize = workspace;
  return *count == 0 ? CUBLAS_STATUS_NOT_SUPPORTED : CUBLAS_STATUS_SUCCESS;
}

// An operand after its transposition: at(i, j) is the element of row i and column j.
struct Operand {
  const float* data;
  Layout stored;
  bool transposed;
  std::uint64_t rows() const { return transposed ? stored.columns : stored.rows; }
  std::uint64_t columns() const { return transposed ? stored.rows : stored.columns; }
  double at(std::uint64_t i, std::uint64_t j) const {
    const auto pitch = static_cast<std::uint64_t>(stored.pitch);
    return static_cast<double>(transposed ? data[j + i * pitch] : data[i + j * pitch]);
  }
};

cublasStatus_t matmul(cublasLtHandle_t, cublasLtMatmulDesc_t desc, const void* alpha, const void* a,
                      cublasLtMatrixLayout_t a_layout, const void* b, cublasLtMatrixLayout_t b_layout,
                      const void* beta, const void* c, cublasLtMatrixLayout_t, void* d,
                      cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t*, void*, std::size_t bytes,
                      cudaStream_t) {
  const Description& how = of(desc);
  const Operand left{static_cast<const float*>(a), of(a_layout), how.left == CUBLAS_OP_T},
      right{static_cast<const float*>(b), of(b_layout), how.right == CUBLAS_OP_T};
  const Layout& out = of(d_layout);
  expect(*static_cast<const float*>(alpha) == 1 && *static_cast<const float*>(beta) == 0 && c == d,
         "a factor other than 1 and 0");
  expect(left.columns() == right.rows() && out.rows == left.rows() && out.columns == right.columns(),
         "sizes that do not belong together");
  expect(bytes == workspace, "another workspace than the heuristic's");
  if (left.columns() == 7) return CUBLAS_STATUS_NOT_SUPPORTED;
  const DeviceAccess access;
  for (std::uint64_t j = 0; j < out.columns; ++j)
    for (std::uint64_t i = 0; i < out.rows; ++i) {
      double sum = how.epilogue == CUBLASLT_EPILOGUE_BIAS ? static_cast<double>(how.bias[i]) : 0;
      for (std::uint64_t k = 0; k < left.columns(); ++k) sum += left.at(i, k) * right.at(k, j);
      static_cast<float*>(d)[i + j * static_cast<std::uint64_t>(out.pitch)] = static_cast<float>(sum);
    }
  return CUBLAS_STATUS_SUCCESS;
}

// The entry as the type that cublasLt.h declares: a function of another signature does not compile.
template <class F>
void* entry(F* imitation, F*) {
  return reinterpret_cast<void*>(imitation);
}

}  // namespace

// Returns the imitation of a function of cuBLASLt, or null.
void* cublaslt_entry(const std::string& symbol) {
#define ENTRY(name, imitation) \
  { #name, entry < decltype(name)>(imitation, nullptr) }
  static const std::map<std::string, void*> functions{
      ENTRY(cublasLtCreate, create),
      ENTRY(cublasLtGetStatusString, status_string),
      ENTRY(cublasLtMatmulDescCreate, desc_create),
      ENTRY(cublasLtMatmulDescSetAttribute, desc_set),
      ENTRY(cublasLtMatrixLayoutCreate, layout_create),
      ENTRY(cublasLtMatmulPreferenceCreate, preference_create),
      ENTRY(cublasLtMatmulPreferenceSetAttribute, preference_set),
      ENTRY(cublasLtMatmulPreferenceDestroy, preference_destroy),
      ENTRY(cublasLtMatmulAlgoGetHeuristic, heuristic),
      ENTRY(cublasLtMatmul, matmul)};
#undef ENTRY
  const auto found = functions.find(symbol);
  return found == functions.end() ? nullptr : found->second;
}

}  // namespace reprise::emulation
