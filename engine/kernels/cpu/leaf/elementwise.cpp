#include "engine/kernels/cpu/leaf/elementwise.h"

#include "engine/kernels/cpu/leaf/vec.h"

namespace reprise::kernels::cpu::REPRISE_ISA {
namespace {

void relu_fwd(const float* x, float* y, std::int64_t n) {
  std::int64_t i = 0;
  // x < 0 ? 0 : x, so that NaN stays NaN
  for (; i + lanes <= n; i += lanes) {
    const Vec v = load(x + i);
    store(y + i, select(v < Vec{}, Vec{}, v));
  }
  for (; i < n; ++i) y[i] = x[i] < 0 ? 0 : x[i];
}

void relu_bwd(const float* y, const float* dy, float* dx, std::int64_t n) {
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) store(dx + i, select(load(y + i) > Vec{}, load(dy + i), Vec{}));
  for (; i < n; ++i) dx[i] = y[i] > 0 ? dy[i] : 0;
}

}  // namespace

extern const ElementwiseLeaf elementwise_leaf;
const ElementwiseLeaf elementwise_leaf{relu_fwd, relu_bwd};

}  // namespace reprise::kernels::cpu::REPRISE_ISA
