// Convolutions by cuDNN's classic interface, all tensors channels-last. A plan per shape lists
// the deterministic algorithms that fit the workspace, in the order of cuDNN's heuristic.
// Timing them instead could choose differently in each run, and change the bits.
#include <cudnn.h>

#include <array>
#include <limits>
#include <map>
#include <mutex>

#include "engine/base/check.h"
#include "engine/base/env.h"
#include "engine/base/gpu.h"
#include "engine/base/log.h"
#include "engine/kernels/cuda/libraries.h"
#include "engine/kernels/cuda/runtime.h"
#include "engine/kernels/fallback.h"

// The library that the build found outside of the loader's path.
#if !defined(REPRISE_CUDNN_LIBRARY)
#define REPRISE_CUDNN_LIBRARY "libcudnn.so"
#endif

namespace reprise::kernels::cuda {
namespace {

// A constant for all devices and loads, because the choice of algorithms depends on it.
constexpr std::size_t workspace_limit = std::size_t{512} << 20;

// The library's functions that this file calls.
struct Cudnn {
  decltype(&cudnnGetVersion) version;
  decltype(&cudnnGetErrorString) error_string;
  decltype(&cudnnCreate) create;
  decltype(&cudnnSetStream) set_stream;
  decltype(&cudnnCreateTensorDescriptor) create_tensor;
  decltype(&cudnnSetTensor4dDescriptor) set_tensor;
  decltype(&cudnnCreateFilterDescriptor) create_filter;
  decltype(&cudnnSetFilter4dDescriptor) set_filter;
  decltype(&cudnnCreateConvolutionDescriptor) create_convolution;
  decltype(&cudnnSetConvolution2dDescriptor) set_convolution;
  decltype(&cudnnSetConvolutionGroupCount) set_groups;
  decltype(&cudnnSetConvolutionMathType) set_math;
  decltype(&cudnnGetConvolutionForwardAlgorithm_v7) fwd_algorithms;
  decltype(&cudnnGetConvolutionBackwardDataAlgorithm_v7) dgrad_algorithms;
  decltype(&cudnnGetConvolutionBackwardFilterAlgorithm_v7) wgrad_algorithms;
  decltype(&cudnnGetConvolutionForwardWorkspaceSize) fwd_workspace;
  decltype(&cudnnGetConvolutionBackwardDataWorkspaceSize) dgrad_workspace;
  decltype(&cudnnGetConvolutionBackwardFilterWorkspaceSize) wgrad_workspace;
  decltype(&cudnnConvolutionForward) fwd;
  decltype(&cudnnConvolutionBackwardData) dgrad;
  decltype(&cudnnConvolutionBackwardFilter) wgrad;

  Cudnn() {
    const Library lib("cuDNN 9", {"libcudnn.so.9", REPRISE_CUDNN_LIBRARY}, "convolutions",
                      "package libcudnn9, or nvidia-cudnn for Python");
    lib.find(version, "cudnnGetVersion");
    lib.find(error_string, "cudnnGetErrorString");
    lib.find(create, "cudnnCreate");
    lib.find(set_stream, "cudnnSetStream");
    lib.find(create_tensor, "cudnnCreateTensorDescriptor");
    lib.find(set_tensor, "cudnnSetTensor4dDescriptor");
    lib.find(create_filter, "cudnnCreateFilterDescriptor");
    lib.find(set_filter, "cudnnSetFilter4dDescriptor");
    lib.find(create_convolution, "cudnnCreateConvolutionDescriptor");
    lib.find(set_convolution, "cudnnSetConvolution2dDescriptor");
    lib.find(set_groups, "cudnnSetConvolutionGroupCount");
    lib.find(set_math, "cudnnSetConvolutionMathType");
    lib.find(fwd_algorithms, "cudnnGetConvolutionForwardAlgorithm_v7");
    lib.find(dgrad_algorithms, "cudnnGetConvolutionBackwardDataAlgorithm_v7");
    lib.find(wgrad_algorithms, "cudnnGetConvolutionBackwardFilterAlgorithm_v7");
    lib.find(fwd_workspace, "cudnnGetConvolutionForwardWorkspaceSize");
    lib.find(dgrad_workspace, "cudnnGetConvolutionBackwardDataWorkspaceSize");
    lib.find(wgrad_workspace, "cudnnGetConvolutionBackwardFilterWorkspaceSize");
    lib.find(fwd, "cudnnConvolutionForward");
    lib.find(dgrad, "cudnnConvolutionBackwardData");
    lib.find(wgrad, "cudnnConvolutionBackwardFilter");
    REPRISE_CHECK(version() / 10000 == 9, "cuda: cuDNN 9 is needed, but version {} was loaded", version());
  }
};
const Cudnn& dnn() {
  static const Cudnn* functions = new Cudnn;
  return *functions;
}

const char* name_of(ConvPass pass) {
  return pass == ConvPass::fwd ? "forward" : pass == ConvPass::dgrad ? "dgrad" : "wgrad";
}
const char* call_of(ConvPass pass) {
  return pass == ConvPass::fwd     ? "cudnnConvolutionForward"
         : pass == ConvPass::dgrad ? "cudnnConvolutionBackwardData"
                                   : "cudnnConvolutionBackwardFilter";
}

std::string text_of(const Convolution& c) {
  const Conv2dArgs& a = c.args;
  return fmt::format(
      "{} {} input {} filter {} output {}, stride {}x{}, padding {}x{}, dilation {}x{}, groups {}",
      name_of(c.pass), reprise::name_of(c.dtype), to_string(c.x_shape), to_string(c.w_shape),
      to_string(c.y_shape), a.stride[0], a.stride[1], a.padding[0], a.padding[1], a.dilation[0],
      a.dilation[1], a.groups);
}

void check(cudnnStatus_t status, const char* call, const Convolution& c) {
  REPRISE_CHECK(status == CUDNN_STATUS_SUCCESS, "cuda:{}: {} failed: {}\n  convolution {}", current_device(),
                call, dnn().error_string(status), text_of(c));
}

// The "not supported" statuses are 3000 to 3999.
bool unsupported(cudnnStatus_t status) {
  return static_cast<int>(status) / 1000 == 3;
}
// Statuses that depend on the state of the machine instead of the shape. Another algorithm in their
// place could change the bits from run to run.
bool out_of_memory(cudnnStatus_t status) {
  return status == CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED ||
         status == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED;
}

cudnnHandle_t handle(const Convolution& c) {
  static auto* handles = new std::map<int, cudnnHandle_t>;
  cudnnHandle_t& h = (*handles)[current_device()];
  if (h == nullptr) {
    check(dnn().create(&h), "cudnnCreate", c);
    check(dnn().set_stream(h, stream()), "cudnnSetStream", c);
  }
  return h;
}

struct Choice {
  int algorithm;  // a value of the pass's own enumeration
  cudnnMathType_t math;
  std::size_t workspace;
};
struct Plan {
  cudnnTensorDescriptor_t x = nullptr, y = nullptr;
  cudnnFilterDescriptor_t w = nullptr;
  cudnnConvolutionDescriptor_t convolution = nullptr;
  std::vector<Choice> choices;  // the first is used
};

// FMA math keeps IEEE products of f32; the default may round f32 operands to TF32.
// bf16 products are exact in tensor cores, which the default may leave unused.
cudnnMathType_t wanted_math(const Convolution& c) {
  return c.dtype == DType::bf16 ? CUDNN_TENSOR_OP_MATH : c.tf32 ? CUDNN_DEFAULT_MATH : CUDNN_FMA_MATH;
}
void set_math(const Convolution& c, const Plan& plan, cudnnMathType_t math) {
  check(dnn().set_math(plan.convolution, math), "cudnnSetConvolutionMathType", c);
}

void describe(const Convolution& c, Plan& plan) {
  const auto size = [](const Shape& s, int i) { return static_cast<int>(s[i]); };
  const cudnnDataType_t dtype = c.dtype == DType::bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
  const auto tensor = [&](cudnnTensorDescriptor_t* t, const Shape& s) {
    check(dnn().create_tensor(t), "cudnnCreateTensorDescriptor", c);
    check(dnn().set_tensor(*t, CUDNN_TENSOR_NHWC, dtype, size(s, 0), size(s, 3), size(s, 1), size(s, 2)),
          "cudnnSetTensor4dDescriptor", c);
  };
  tensor(&plan.x, c.x_shape);
  tensor(&plan.y, c.y_shape);
  check(dnn().create_filter(&plan.w), "cudnnCreateFilterDescriptor", c);
  check(dnn().set_filter(plan.w, dtype, CUDNN_TENSOR_NHWC, size(c.w_shape, 0), size(c.w_shape, 3),
                         size(c.w_shape, 1), size(c.w_shape, 2)),
        "cudnnSetFilter4dDescriptor", c);
  const Conv2dArgs& a = c.args;
  check(dnn().create_convolution(&plan.convolution), "cudnnCreateConvolutionDescriptor", c);
  check(dnn().set_convolution(plan.convolution, a.padding[0], a.padding[1], a.stride[0], a.stride[1],
                              a.dilation[0], a.dilation[1], CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
        "cudnnSetConvolution2dDescriptor", c);
  check(dnn().set_groups(plan.convolution, a.groups), "cudnnSetConvolutionGroupCount", c);
  set_math(c, plan, wanted_math(c));
}

// Appends to plan.choices the offered algorithms that are deterministic and fit workspace_limit.
// `workspace(algorithm, &bytes)` asks the library for an algorithm's workspace, which depends on the
// math type that the heuristic gave the algorithm.
template <class Perf, class Workspace>
void keep(const Convolution& c, const std::vector<Perf>& offered, int count, Plan& plan,
          Workspace workspace) {
  for (int i = 0; i < count; ++i) {
    const Perf& p = offered[static_cast<std::size_t>(i)];
    if (p.status != CUDNN_STATUS_SUCCESS || p.determinism != CUDNN_DETERMINISTIC) continue;
    const cudnnMathType_t math = wanted_math(c) == CUDNN_FMA_MATH ? CUDNN_FMA_MATH : p.mathType;
    set_math(c, plan, math);
    std::size_t bytes = 0;
    if (workspace(p.algo, &bytes) != CUDNN_STATUS_SUCCESS || bytes > workspace_limit) continue;
    plan.choices.push_back({static_cast<int>(p.algo), math, bytes});
  }
}

void choose(const Convolution& c, Plan& plan) {
  const cudnnHandle_t h = handle(c);
  int count = 0;
  if (c.pass == ConvPass::fwd) {
    std::vector<cudnnConvolutionFwdAlgoPerf_t> offered(CUDNN_CONVOLUTION_FWD_ALGO_COUNT);
    const auto status = dnn().fwd_algorithms(h, plan.x, plan.w, plan.convolution, plan.y,
                                             CUDNN_CONVOLUTION_FWD_ALGO_COUNT, &count, offered.data());
    if (!unsupported(status)) check(status, "cudnnGetConvolutionForwardAlgorithm_v7", c);
    keep(c, offered, count, plan, [&](cudnnConvolutionFwdAlgo_t algo, std::size_t* bytes) {
      return dnn().fwd_workspace(h, plan.x, plan.w, plan.convolution, plan.y, algo, bytes);
    });
  } else if (c.pass == ConvPass::dgrad) {
    std::vector<cudnnConvolutionBwdDataAlgoPerf_t> offered(CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT);
    const auto status = dnn().dgrad_algorithms(h, plan.w, plan.y, plan.convolution, plan.x,
                                               CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT, &count, offered.data());
    if (!unsupported(status)) check(status, "cudnnGetConvolutionBackwardDataAlgorithm_v7", c);
    keep(c, offered, count, plan, [&](cudnnConvolutionBwdDataAlgo_t algo, std::size_t* bytes) {
      return dnn().dgrad_workspace(h, plan.w, plan.y, plan.convolution, plan.x, algo, bytes);
    });
  } else {
    std::vector<cudnnConvolutionBwdFilterAlgoPerf_t> offered(CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT);
    const auto status =
        dnn().wgrad_algorithms(h, plan.x, plan.y, plan.convolution, plan.w,
                               CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT, &count, offered.data());
    if (!unsupported(status)) check(status, "cudnnGetConvolutionBackwardFilterAlgorithm_v7", c);
    keep(c, offered, count, plan, [&](cudnnConvolutionBwdFilterAlgo_t algo, std::size_t* bytes) {
      return dnn().wgrad_workspace(h, plan.x, plan.y, plan.convolution, plan.w, algo, bytes);
    });
  }
}

cudnnStatus_t execute(const Convolution& c, const Plan& plan, const Choice& choice) {
  const float one = 1, zero = 0;
  const cudnnHandle_t h = handle(c);
  const Scratch workspace(choice.workspace);
  set_math(c, plan, choice.math);
  switch (c.pass) {
    case ConvPass::fwd:
      return dnn().fwd(h, &one, plan.x, c.x, plan.w, c.w, plan.convolution,
                       static_cast<cudnnConvolutionFwdAlgo_t>(choice.algorithm), workspace.data(),
                       choice.workspace, &zero, plan.y, c.y);
    case ConvPass::dgrad:
      return dnn().dgrad(h, &one, plan.w, c.w, plan.y, c.y, plan.convolution,
                         static_cast<cudnnConvolutionBwdDataAlgo_t>(choice.algorithm), workspace.data(),
                         choice.workspace, &zero, plan.x, c.x);
    case ConvPass::wgrad:
      return dnn().wgrad(h, &one, plan.x, c.x, plan.y, c.y, plan.convolution,
                         static_cast<cudnnConvolutionBwdFilterAlgo_t>(choice.algorithm), workspace.data(),
                         choice.workspace, &zero, plan.w, c.w);
  }
  return CUDNN_STATUS_INTERNAL_ERROR;
}

using Key = std::array<std::int64_t, 23>;
Key key_of(const Convolution& c) {
  Key key{};
  std::size_t at = 0;
  for (const Shape& s : {c.x_shape, c.w_shape, c.y_shape})
    for (const std::int64_t d : s.dims()) key[at++] = d;
  for (const auto& pair : {c.args.stride, c.args.padding, c.args.dilation})
    for (const int v : pair) key[at++] = v;
  key[at++] = c.args.groups;
  key[at++] = static_cast<std::int64_t>(c.pass);
  key[at++] = current_device();
  key[at++] = c.tf32 ? 1 : 0;
  key[at] = static_cast<std::int64_t>(c.dtype);
  return key;
}

// Returns whether the library can take c: sizes and numbers of elements below 2^31, and addresses
// aligned to 16 bytes.
bool fits(const Convolution& c) {
  constexpr std::int64_t limit = std::numeric_limits<int>::max();
  for (const Shape& s : {c.x_shape, c.w_shape, c.y_shape}) {
    if (s.numel() > limit) return false;
    for (const std::int64_t d : s.dims())
      if (d > limit) return false;
  }
  for (const void* p : {c.x, c.w, c.y})
    if (reinterpret_cast<std::uintptr_t>(p) % 16 != 0) return false;
  return true;
}

void report(const Convolution& c, const Plan& plan) {
  if (env_int("REPRISE_DEBUG") < 1 || plan.choices.empty()) return;
  const Choice& first = plan.choices.front();
  log_line(fmt::format("[cudnn] {}: algorithm {}, math {}, workspace {} MiB", text_of(c), first.algorithm,
                       static_cast<int>(first.math), first.workspace >> 20));
}

// Counts the plain kernel that runs in the library's place. Returns false.
bool plain_instead(const Convolution& c, const char* why) {
  count_fallback(fmt::format("conv2d {}: {}, a plain cuda kernel runs it", text_of(c), why));
  return false;
}

}  // namespace

bool cudnn_convolution(const Convolution& c) {
  if (!fits(c)) return plain_instead(c, "too large or not aligned for cuDNN");
  static std::mutex mutex;
  static auto* plans = new std::map<Key, Plan>;
  const std::lock_guard lock(mutex);
  const Key key = key_of(c);
  auto found = plans->find(key);
  if (found == plans->end()) {
    Plan plan;
    describe(c, plan);
    choose(c, plan);
    report(c, plan);
    found = plans->emplace(key, std::move(plan)).first;
  }
  Plan& plan = found->second;
  while (!plan.choices.empty()) {
    const cudnnStatus_t status = execute(c, plan, plan.choices.front());
    if (status == CUDNN_STATUS_SUCCESS) {
      count_launch();
      return true;
    }
    if (out_of_memory(status)) check(status, call_of(c.pass), c);
    log_warning(fmt::format("cuda:{}: {} of algorithm {} failed ({}) and is left out\n  convolution {}",
                            current_device(), call_of(c.pass), plan.choices.front().algorithm,
                            dnn().error_string(status), text_of(c)));
    plan.choices.erase(plan.choices.begin());  // equal in every run: the refusal depends on the shape
    report(c, plan);
  }
  return plain_instead(c, "cuDNN has no deterministic algorithm");
}

}  // namespace reprise::kernels::cuda
