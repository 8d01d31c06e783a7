// What lesson 9 computes on a GPU, declared without any CUDA header; 9_gpu.cu defines it.
#pragma once

#include <vector>

namespace tour {

// The input of
//   y = relu((x - mean) / sqrt(var + eps) * gamma + beta + residual)
// with x, residual and y (rows, channels), and the other arrays (channels).
struct NormProblem {
  int rows = 0, channels = 0;
  float eps = 1e-5f;
  std::vector<float> x, residual, mean, var, gamma, beta;
};
enum class Version { three_kernels, fused, four_wide };
struct GpuAnswer {
  std::vector<float> y;
  double milliseconds = 0;  // the fastest of 20 runs, without copies from and to the host
};
// Computes y on the GPU. Throws std::runtime_error with CUDA's own
// message. four_wide needs a number of channels that is a multiple of 4.
GpuAnswer on_gpu(Version version, const NormProblem& problem);

}  // namespace tour
