#include "apps/clr/audit/cost.h"

#include <chrono>

#include "engine/autograd/autograd.h"
#include "engine/base/log.h"
#include "engine/ops/conv2d.h"
#include "layers/summary.h"

namespace reprise::clr {

void tell_cost(const Common& common, const std::string& what) {
  if (!common.quiet) log_line("cost: " + what);
}

double seconds_on_ref(double flops) {
  using Clock = std::chrono::steady_clock;
  const NoGrad no_grad;
  const Tensor x = ones({4, 16, 16, 32}, DType::f64, ref_device),
               w = ones({32, 3, 3, 32}, DType::f64, ref_device);
  const auto begin = Clock::now();
  const Tensor y = ops::conv2d(x, w);
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  return seconds / static_cast<double>(2 * y.numel() * 3 * 3 * 32) * flops;
}

double flops_of_image(layers::Network& network, int size) {
  double flops = 0;
  for (const layers::LayerRow& row : layers::summarize(network, size, size))
    flops += static_cast<double>(row.flops);
  return flops;
}

}  // namespace reprise::clr
