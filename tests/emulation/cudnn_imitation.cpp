// An imitation of the part of cuDNN that engine/kernels/cuda/cudnn.cpp calls. Convolutions are
// computed by loops on the emulated device's memory. The imitation is as unhelpful as cuDNN may be:
// its first algorithm is not deterministic, another needs too much workspace, a third fails for odd
// channels, the last refuses groups. It stops the program when it is called against cuDNN's rules.
#include "tests/emulation/cudnn_imitation.h"

#include <cudnn.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <vector>

#include "engine/base/check.h"
#include "engine/kernels/cuda/libraries.h"
#include "engine/kernels/cuda/number.h"
#include "tests/emulation/launch.h"

struct cudnnContext {};
struct cudnnTensorStruct {
  int n, c, h, w;
  cudnnDataType_t dtype;
};
struct cudnnFilterStruct {
  int o, i, r, s;
  cudnnDataType_t dtype;
};
struct cudnnConvolutionStruct {
  int pad[2], stride[2], dilation[2], groups = 1;
  cudnnMathType_t math = CUDNN_DEFAULT_MATH;
};

namespace reprise::emulation {

void* cublaslt_entry(const std::string& symbol);  // in cublaslt_imitation.cpp

SeenConvolution& last_convolution() {
  static SeenConvolution seen;
  return seen;
}

namespace {

using Tensor = cudnnTensorDescriptor_t;
using Filter = cudnnFilterDescriptor_t;
using Conv = cudnnConvolutionDescriptor_t;

void expect(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "imitation of cuDNN: %s\n", what);
  std::abort();
}

enum { not_deterministic, fails_for_odd_channels, too_large, refuses_groups, algorithms };

// The math type that the heuristic gives an algorithm. Without FMA math, algorithms differ.
cudnnMathType_t math_of(int algorithm, Conv conv, cudnnDataType_t dtype) {
  if (dtype == CUDNN_DATA_FLOAT) return CUDNN_DEFAULT_MATH;
  expect(conv->math != CUDNN_FMA_MATH, "bf16 with FMA math");
  return algorithm == refuses_groups ? CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION : CUDNN_TENSOR_OP_MATH;
}
// The workspace depends on the math type that is set, as with cuDNN.
std::size_t workspace_of(int algorithm, Conv conv) {
  return algorithm == too_large ? std::size_t{1} << 40 : 1024u * (1u + static_cast<unsigned>(conv->math));
}

template <class Perf>
cudnnStatus_t offer(Conv conv, cudnnDataType_t dtype, int asked, int* count, Perf* offered) {
  expect(dtype == CUDNN_DATA_FLOAT || conv->math == CUDNN_TENSOR_OP_MATH, "bf16 without tensor cores");
  expect(asked >= algorithms, "too little room for the algorithms");
  *count = algorithms;
  for (int i = 0; i < algorithms; ++i) {
    offered[i] = {};
    offered[i].algo = static_cast<decltype(offered[i].algo)>(i);
    offered[i].status = CUDNN_STATUS_SUCCESS;
    offered[i].determinism = i == not_deterministic ? CUDNN_NON_DETERMINISTIC : CUDNN_DETERMINISTIC;
    offered[i].mathType = math_of(i, conv, dtype);
  }
  return CUDNN_STATUS_SUCCESS;
}

template <class T>
T* of(const void* p) {
  return static_cast<T*>(const_cast<void*>(p));
}
double load(const void* p, cudnnDataType_t dtype, std::size_t i) {
  using kernels::cuda::value_of;
  return static_cast<double>(dtype == CUDNN_DATA_FLOAT ? of<float>(p)[i] : value_of(of<BFloat16>(p)[i]));
}
void write(void* p, cudnnDataType_t dtype, const std::vector<double>& sums) {
  for (std::size_t i = 0; i < sums.size(); ++i)
    if (dtype == CUDNN_DATA_FLOAT)
      of<float>(p)[i] = static_cast<float>(sums[i]);
    else
      kernels::cuda::store(of<BFloat16>(p)[i], static_cast<float>(sums[i]));
}

// Calls f(x's index, w's index, y's index) for each product of the convolution.
template <class F>
void each_product(Tensor x, Filter w, Conv k, Tensor y, F f) {
  const int out = w->o / k->groups;
  for (int n = 0; n < y->n; ++n)
    for (int p = 0; p < y->h; ++p)
      for (int q = 0; q < y->w; ++q)
        for (int o = 0; o < w->o; ++o)
          for (int r = 0; r < w->r; ++r)
            for (int s = 0; s < w->s; ++s) {
              const int i = p * k->stride[0] - k->pad[0] + r * k->dilation[0],
                        j = q * k->stride[1] - k->pad[1] + s * k->dilation[1];
              if (i < 0 || i >= x->h || j < 0 || j >= x->w) continue;
              for (int c = 0; c < w->i; ++c)
                f(static_cast<std::size_t>(((n * x->h + i) * x->w + j) * x->c + o / out * w->i + c),
                  static_cast<std::size_t>(((o * w->r + r) * w->s + s) * w->i + c),
                  static_cast<std::size_t>(((n * y->h + p) * y->w + q) * w->o + o));
            }
}

// Checks a call that computes, and returns what cuDNN would.
cudnnStatus_t admit(Tensor x, Filter w, Conv conv, Tensor y, int algorithm, std::size_t workspace,
                    const float* alpha, const float* beta) {
  expect(*alpha == 1 && *beta == 0, "a factor other than 1 and 0");
  expect(x->c == w->i * conv->groups && y->c == w->o && x->n == y->n, "shapes that do not belong together");
  expect(x->dtype == y->dtype && x->dtype == w->dtype, "several dtypes");
  expect(algorithm != not_deterministic && algorithm != too_large, "an algorithm that was not to be chosen");
  expect(workspace == workspace_of(algorithm, conv), "a workspace for another math type");
  expect(x->dtype == CUDNN_DATA_FLOAT || conv->math == math_of(algorithm, conv, x->dtype),
         "another math type than the heuristic's");
  if (algorithm == fails_for_odd_channels && (x->c % 2 != 0 || y->c % 2 != 0))
    return CUDNN_STATUS_EXECUTION_FAILED;
  if (algorithm == refuses_groups && conv->groups > 1) return CUDNN_STATUS_NOT_SUPPORTED_SHAPE;
  last_convolution() = {algorithm, conv->math, x->c};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t forward(cudnnHandle_t, const void* alpha, Tensor xd, const void* x, Filter wd, const void* w,
                      Conv conv, cudnnConvolutionFwdAlgo_t algorithm, void*, std::size_t workspace,
                      const void* beta, Tensor yd, void* y) {
  const auto status = admit(xd, wd, conv, yd, algorithm, workspace, of<float>(alpha), of<float>(beta));
  if (status != CUDNN_STATUS_SUCCESS) return status;
  const DeviceAccess access;
  std::vector<double> sums(static_cast<std::size_t>(yd->n * yd->h * yd->w * yd->c));
  each_product(xd, wd, conv, yd, [&](std::size_t i, std::size_t j, std::size_t k) {
    sums[k] += load(x, xd->dtype, i) * load(w, wd->dtype, j);
  });
  write(y, yd->dtype, sums);
  return status;
}
cudnnStatus_t backward_data(cudnnHandle_t, const void* alpha, Filter wd, const void* w, Tensor yd,
                            const void* dy, Conv conv, cudnnConvolutionBwdDataAlgo_t algorithm, void*,
                            std::size_t workspace, const void* beta, Tensor xd, void* dx) {
  const auto status = admit(xd, wd, conv, yd, algorithm, workspace, of<float>(alpha), of<float>(beta));
  if (status != CUDNN_STATUS_SUCCESS) return status;
  const DeviceAccess access;
  std::vector<double> sums(static_cast<std::size_t>(xd->n * xd->h * xd->w * xd->c));
  each_product(xd, wd, conv, yd, [&](std::size_t i, std::size_t j, std::size_t k) {
    sums[i] += load(dy, yd->dtype, k) * load(w, wd->dtype, j);
  });
  write(dx, xd->dtype, sums);
  return status;
}
cudnnStatus_t backward_filter(cudnnHandle_t, const void* alpha, Tensor xd, const void* x, Tensor yd,
                              const void* dy, Conv conv, cudnnConvolutionBwdFilterAlgo_t algorithm, void*,
                              std::size_t workspace, const void* beta, Filter wd, void* dw) {
  const auto status = admit(xd, wd, conv, yd, algorithm, workspace, of<float>(alpha), of<float>(beta));
  if (status != CUDNN_STATUS_SUCCESS) return status;
  const DeviceAccess access;
  std::vector<double> sums(static_cast<std::size_t>(wd->o * wd->r * wd->s * wd->i));
  each_product(xd, wd, conv, yd, [&](std::size_t i, std::size_t j, std::size_t k) {
    sums[j] += load(x, xd->dtype, i) * load(dy, yd->dtype, k);
  });
  write(dw, wd->dtype, sums);
  return status;
}

cudnnStatus_t set_tensor(Tensor t, cudnnTensorFormat_t format, cudnnDataType_t dtype, int n, int c, int h,
                         int w) {
  expect(format == CUDNN_TENSOR_NHWC, "a tensor that is not channels-last");
  *t = {n, c, h, w, dtype};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t set_filter(Filter f, cudnnDataType_t dtype, cudnnTensorFormat_t format, int o, int i, int r,
                         int s) {
  expect(format == CUDNN_TENSOR_NHWC, "a filter that is not channels-last");
  *f = {o, i, r, s, dtype};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t set_convolution(Conv k, int pad_h, int pad_w, int stride_h, int stride_w, int dilation_h,
                              int dilation_w, cudnnConvolutionMode_t mode, cudnnDataType_t sums) {
  expect(mode == CUDNN_CROSS_CORRELATION && sums == CUDNN_DATA_FLOAT,
         "a mirrored filter, or sums that are not f32");
  *k = {{pad_h, pad_w}, {stride_h, stride_w}, {dilation_h, dilation_w}};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t set_groups(Conv k, int groups) {
  k->groups = groups;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t set_math(Conv k, cudnnMathType_t math) {
  k->math = math;
  return CUDNN_STATUS_SUCCESS;
}
template <class Descriptor, class Struct>
cudnnStatus_t create(Descriptor* to) {
  *to = new Struct{};
  return CUDNN_STATUS_SUCCESS;
}
std::size_t version() {
  return 90000;
}
const char* error_string(cudnnStatus_t status) {
  return status == CUDNN_STATUS_EXECUTION_FAILED ? "execution failed" : "not supported";
}
cudnnStatus_t set_stream(cudnnHandle_t, cudaStream_t) {
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t fwd_algorithms(cudnnHandle_t, Tensor x, Filter, Conv k, Tensor, int asked, int* count,
                             cudnnConvolutionFwdAlgoPerf_t* offered) {
  return offer(k, x->dtype, asked, count, offered);
}
cudnnStatus_t dgrad_algorithms(cudnnHandle_t, Filter w, Tensor, Conv k, Tensor, int asked, int* count,
                               cudnnConvolutionBwdDataAlgoPerf_t* offered) {
  return offer(k, w->dtype, asked, count, offered);
}
cudnnStatus_t wgrad_algorithms(cudnnHandle_t, Tensor x, Tensor, Conv k, Filter, int asked, int* count,
                               cudnnConvolutionBwdFilterAlgoPerf_t* offered) {
  return offer(k, x->dtype, asked, count, offered);
}
cudnnStatus_t fwd_workspace(cudnnHandle_t, Tensor, Filter, Conv k, Tensor,
                            cudnnConvolutionFwdAlgo_t algorithm, std::size_t* bytes) {
  *bytes = workspace_of(algorithm, k);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t dgrad_workspace(cudnnHandle_t, Filter, Tensor, Conv k, Tensor,
                              cudnnConvolutionBwdDataAlgo_t algorithm, std::size_t* bytes) {
  *bytes = workspace_of(algorithm, k);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t wgrad_workspace(cudnnHandle_t, Tensor, Tensor, Conv k, Filter,
                              cudnnConvolutionBwdFilterAlgo_t algorithm, std::size_t* bytes) {
  *bytes = workspace_of(algorithm, k);
  return CUDNN_STATUS_SUCCESS;
}

// The entry as the type that cudnn.h declares: a function of another signature does not compile.
template <class F>
void* entry(F* imitation, F*) {
  return reinterpret_cast<void*>(imitation);
}

}  // namespace
}  // namespace reprise::emulation

namespace reprise::kernels::cuda {

Library::Library(const std::string& library, const std::vector<std::string>&, const std::string&,
                 const std::string&)
    : library_(library) {
  handle_ = nullptr;  // nothing is loaded
}

void* Library::address(const char* symbol) const {
  using namespace emulation;
#define ENTRY(name, imitation) \
  { #name, entry < decltype(name)>(imitation, nullptr) }
  static const std::map<std::string, void*> functions{
      ENTRY(cudnnGetVersion, version),
      ENTRY(cudnnGetErrorString, error_string),
      ENTRY(cudnnCreate, (create<cudnnHandle_t, cudnnContext>)),
      ENTRY(cudnnSetStream, set_stream),
      ENTRY(cudnnCreateTensorDescriptor, (create<cudnnTensorDescriptor_t, cudnnTensorStruct>)),
      ENTRY(cudnnSetTensor4dDescriptor, set_tensor),
      ENTRY(cudnnCreateFilterDescriptor, (create<cudnnFilterDescriptor_t, cudnnFilterStruct>)),
      ENTRY(cudnnSetFilter4dDescriptor, set_filter),
      ENTRY(cudnnCreateConvolutionDescriptor, (create<cudnnConvolutionDescriptor_t, cudnnConvolutionStruct>)),
      ENTRY(cudnnSetConvolution2dDescriptor, set_convolution),
      ENTRY(cudnnSetConvolutionGroupCount, set_groups),
      ENTRY(cudnnSetConvolutionMathType, set_math),
      ENTRY(cudnnGetConvolutionForwardAlgorithm_v7, fwd_algorithms),
      ENTRY(cudnnGetConvolutionBackwardDataAlgorithm_v7, dgrad_algorithms),
      ENTRY(cudnnGetConvolutionBackwardFilterAlgorithm_v7, wgrad_algorithms),
      ENTRY(cudnnGetConvolutionForwardWorkspaceSize, fwd_workspace),
      ENTRY(cudnnGetConvolutionBackwardDataWorkspaceSize, dgrad_workspace),
      ENTRY(cudnnGetConvolutionBackwardFilterWorkspaceSize, wgrad_workspace),
      ENTRY(cudnnConvolutionForward, forward),
      ENTRY(cudnnConvolutionBackwardData, backward_data),
      ENTRY(cudnnConvolutionBackwardFilter, backward_filter)};
#undef ENTRY
  const auto found = functions.find(symbol);
  void* const address = found == functions.end() ? cublaslt_entry(symbol) : found->second;
  REPRISE_CHECK(address != nullptr, "{}: the imitation has no {}", library_, symbol);
  return address;
}

}  // namespace reprise::kernels::cuda
