// The same on a GPU: the epilogue of a convolution in evaluation, from
// three plain CUDA kernels to one, each compared with the reference.
// Without a GPU the program says so and computes only the reference.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>

#include "apps/tour/9_gpu.h"
#include "engine/base/error.h"
#include "engine/base/gpu.h"
#include "engine/base/random.h"
#include "engine/ops/ops.h"

using namespace reprise;

namespace {

std::vector<float> numbers(int count, double low, double high, const char* purpose) {
  RandomStream stream(0, purpose);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& v : values) v = static_cast<float>(stream.uniform(low, high));
  return values;
}

// Computes the definition, op by op, in double on the reference backend.
Tensor reference(const tour::NormProblem& p) {
  const auto exact = [](const Shape& shape, const std::vector<float>& v) {
    return tensor(shape, v, ref_device).to(DType::f64);
  };
  const Shape image{p.rows, 1, 1, p.channels}, channel{p.channels};
  const Tensor normal = ops::batch_norm_eval(exact(image, p.x), exact(channel, p.mean), exact(channel, p.var),
                                             exact(channel, p.gamma), exact(channel, p.beta),
                                             {.eps = static_cast<double>(p.eps)});
  return ops::relu(normal + exact(image, p.residual));
}

}  // namespace

int main() try {
#if defined(TOUR_WITH_CUDA)
  const bool there = gpu::count() > 0;
#else
  const bool there = false;
#endif
  tour::NormProblem p;
  p.rows = there ? 32 * 56 * 56 : 56, p.channels = 64;
  const int count = p.rows * p.channels;
  p.x = numbers(count, -2, 2, "tour/x"), p.residual = numbers(count, -1, 1, "tour/residual");
  p.mean = numbers(p.channels, -1, 1, "tour/mean"), p.var = numbers(p.channels, 0.5, 2, "tour/var");
  p.gamma = numbers(p.channels, 0.5, 2, "tour/gamma"), p.beta = numbers(p.channels, -1, 1, "tour/beta");
  const Tensor exact = reference(p);
  std::printf("relu(batch_norm(x) + residual), x (%d,%d): the reference's first values are %.6f %.6f %.6f\n",
              p.rows, p.channels, exact.data<double>()[0], exact.data<double>()[1], exact.data<double>()[2]);
  if (!there) {
    std::printf("skipped: no GPU can be used here (a driver, a device and a build with CUDA are needed)\n");
    return 0;
  }
#if defined(TOUR_WITH_CUDA)
  std::printf("%s\n\n                        ms   GB/s   largest error\n", gpu::describe(0).c_str());
  double worst = 0;
  const auto show = [&](const char* name, tour::Version version) {
    const tour::GpuAnswer answer = tour::on_gpu(version, p);
    double error = 0;
    for (int i = 0; i < count; ++i)
      error = std::max(error, std::abs(static_cast<double>(answer.y[static_cast<std::size_t>(i)]) -
                                       exact.data<double>()[i]));
    worst = std::max(worst, error);
    // GB/s count the least that has to move: x and the residual in, y out.
    std::printf("%-18s %8.3f %6.0f %15.1e\n", name, answer.milliseconds,
                12.0 * count / answer.milliseconds * 1e-6, error);
  };
  show("three kernels", tour::Version::three_kernels);
  show("one, fused", tour::Version::fused);
  show("four numbers wide", tour::Version::four_wide);
  return worst < 1e-5 ? 0 : 1;
#endif
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
