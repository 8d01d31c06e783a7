// Batch norm in evaluation, a residual and a ReLU on a GPU: as three plain
// kernels, as one kernel, and as one that moves four numbers at a time.
#include <cuda_runtime.h>

#include <algorithm>
#include <stdexcept>
#include <string>

#include "apps/tour/9_gpu.h"

namespace tour {
namespace {

void check(cudaError_t status) {
  if (status != cudaSuccess) throw std::runtime_error(std::string("CUDA: ") + cudaGetErrorString(status));
}

// Device memory that frees itself.
class Array {
 public:
  explicit Array(std::size_t count) : count_(count) { check(cudaMalloc(&p_, count * sizeof(float))); }
  explicit Array(const std::vector<float>& from) : Array(from.size()) {
    check(cudaMemcpy(p_, from.data(), count_ * sizeof(float), cudaMemcpyHostToDevice));
  }
  ~Array() { cudaFree(p_); }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  float* get() const { return p_; }
  std::vector<float> on_host() const {
    std::vector<float> values(count_);
    check(cudaMemcpy(values.data(), p_, count_ * sizeof(float), cudaMemcpyDeviceToHost));
    return values;
  }

 private:
  std::size_t count_;
  float* p_ = nullptr;
};

// The operands of every kernel: pointers into device memory.
struct Operands {
  const float *x, *residual, *mean, *var, *gamma, *beta;
  float *y, *scratch;
  float eps;
  int count, channels;
};

// 1. One thread for each number, one kernel for each step,
// as in a chain of ops. Seven passes over memory.
__global__ void normalise(Operands o) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= o.count) return;  // the last block has more threads than elements
  const int c = i % o.channels;
  o.scratch[i] = (o.x[i] - o.mean[c]) / sqrtf(o.var[c] + o.eps) * o.gamma[c] + o.beta[c];
}
__global__ void add(Operands o) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < o.count) o.y[i] = o.scratch[i] + o.residual[i];
}
__global__ void relu(Operands o) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < o.count) o.y[i] = fmaxf(o.y[i], 0);
}

__device__ float formula(const Operands& o, int c, float x, float residual) {
  return fmaxf((x - o.mean[c]) / sqrtf(o.var[c] + o.eps) * o.gamma[c] + o.beta[c] + residual, 0);
}

// 2. The same in one kernel: intermediate values stay in
// registers. Three passes: read x, read the residual, write y.
__global__ void fused(Operands o) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < o.count) o.y[i] = formula(o, i % o.channels, o.x[i], o.residual[i]);
}

// 3. Four neighbouring channels for each thread: 16 bytes a
// load, a quarter of the address arithmetic and of the requests.
__global__ void four_wide(Operands o) {
  const int i = 4 * (blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= o.count) return;
  const float4 x = *reinterpret_cast<const float4*>(o.x + i);
  const float4 r = *reinterpret_cast<const float4*>(o.residual + i);
  const int c = i % o.channels;
  *reinterpret_cast<float4*>(o.y + i) = make_float4(formula(o, c, x.x, r.x), formula(o, c + 1, x.y, r.y),
                                                    formula(o, c + 2, x.z, r.z), formula(o, c + 3, x.w, r.w));
}

void launch(Version version, const Operands& o) {
  constexpr int threads = 256;
  const auto blocks = [&](int per_thread) { return (o.count / per_thread + threads - 1) / threads; };
  switch (version) {
    case Version::three_kernels:
      normalise<<<blocks(1), threads>>>(o);
      add<<<blocks(1), threads>>>(o);
      relu<<<blocks(1), threads>>>(o);
      break;
    case Version::fused:
      fused<<<blocks(1), threads>>>(o);
      break;
    case Version::four_wide:
      four_wide<<<blocks(4), threads>>>(o);
      break;
  }
  // Reports a launch that was refused. An error inside a kernel shows when somebody waits for it.
  check(cudaGetLastError());
}

}  // namespace

GpuAnswer on_gpu(Version version, const NormProblem& problem) {
  const Array x(problem.x), residual(problem.residual), mean(problem.mean), var(problem.var),
      gamma(problem.gamma), beta(problem.beta), y(problem.x.size()), scratch(problem.x.size());
  const Operands o{
      x.get(),         residual.get(), mean.get(),    var.get(),   gamma.get(),
      beta.get(),      y.get(),        scratch.get(), problem.eps, static_cast<int>(problem.x.size()),
      problem.channels};
  cudaEvent_t begin, end;
  check(cudaEventCreate(&begin));
  check(cudaEventCreate(&end));
  float best = 1e30f;
  for (int repeat = 0; repeat < 20; ++repeat) {
    check(cudaEventRecord(begin));
    launch(version, o);
    check(cudaEventRecord(end));
    check(cudaEventSynchronize(end));
    float took = 0;
    check(cudaEventElapsedTime(&took, begin, end));
    best = std::min(best, took);
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  return {y.on_host(), best};
}

}  // namespace tour
