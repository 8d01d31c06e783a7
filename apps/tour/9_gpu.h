// What lesson 9 asks of the GPU, without any CUDA header: 9_gpu.cu answers.
#pragma once

#include <vector>

namespace tour {

// y = relu((x - mean) / sqrt(var + eps) * gamma + beta + residual): x, residual and y (rows, channels), the
// rest (channels).
struct NormProblem {
  int rows = 0, channels = 0;
  float eps = 1e-5f;
  std::vector<float> x, residual, mean, var, gamma, beta;
};
enum class Version { three_kernels, fused, four_wide };
struct GpuAnswer {
  std::vector<float> y;
  double milliseconds = 0;  // the fastest of many, without copies from and to the host
};
// Throws std::runtime_error with CUDA's own words. four_wide: channels is a multiple of 4.
GpuAnswer on_gpu(Version version, const NormProblem& problem);

}  // namespace tour
