#include "engine/kernels/cpu/leaf/softmax.h"

#include "engine/kernels/cpu/leaf/math.h"

namespace reprise::kernels::cpu::REPRISE_ISA {
namespace {

float largest_of(const float* x, std::int64_t n) {
  float best = x[0];
  for (std::int64_t i = 1; i < n; ++i) best = x[i] > best ? x[i] : best;
  return best;
}

// Writes exp(x - largest) to y, unless y is null, and returns their sum, taken in double.
double exponentials(const float* x, float largest, float* y, std::int64_t n) {
  VecDouble low{}, high{};
  const Vec top = broadcast(largest);
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const Vec e = exp_of(load(x + i) - top);
    low += widen_low(e);
    high += widen_high(e);
    if (y) store(y + i, e);
  }
  double sum = sum_lanes(low) + sum_lanes(high);
  if (i < n) {
    const Vec e = exp_of(load_first(x + i, n - i) - top);
    for (int k = 0; k < n - i; ++k) sum += static_cast<double>(e[k]);
    if (y) store_first(y + i, e, n - i);
  }
  return sum;
}

void softmax_fwd(const float* x, float* y, std::int64_t n) {
  const Vec sum = broadcast(static_cast<float>(exponentials(x, largest_of(x, n), y, n)));
  for_vectors(n, [&](std::int64_t i, auto part) { store(y + i, load(y + i, part) / sum, part); });
}

void softmax_bwd(const float* y, const float* dy, float* dx, std::int64_t n) {
  VecDouble low{}, high{};
  for_vectors(n, [&](std::int64_t i, auto part) {
    const Vec a = load(y + i, part), b = load(dy + i, part);
    low += widen_low(a) * widen_low(b);
    high += widen_high(a) * widen_high(b);
  });
  const Vec dot = broadcast(static_cast<float>(sum_lanes(low + high)));
  for_vectors(n, [&](std::int64_t i, auto part) {
    store(dx + i, load(y + i, part) * (load(dy + i, part) - dot), part);
  });
}

void log_softmax_fwd(const float* x, float* y, std::int64_t n) {
  const float largest = largest_of(x, n);
  const float sum = static_cast<float>(exponentials(x, largest, nullptr, n));
  const Vec log_sum = log_of(broadcast(sum)), top = broadcast(largest);
  for_vectors(n, [&](std::int64_t i, auto part) { store(y + i, load(x + i, part) - top - log_sum, part); });
}

void log_softmax_bwd(const float* y, const float* dy, float* dx, std::int64_t n) {
  VecDouble low{}, high{};
  for_vectors(n, [&](std::int64_t i, auto part) {
    const Vec g = load(dy + i, part);
    low += widen_low(g);
    high += widen_high(g);
  });
  const Vec sum = broadcast(static_cast<float>(sum_lanes(low + high)));
  for_vectors(n, [&](std::int64_t i, auto part) {
    store(dx + i, load(dy + i, part) - exp_of(load(y + i, part)) * sum, part);
  });
}

void cross_entropy_bwd(const float* log_probs, std::int64_t label, float scale, float* dlogits,
                       std::int64_t n) {
  for_vectors(n, [&](std::int64_t i, auto part) {
    Vec p = exp_of(load(log_probs + i, part));
    if (label >= i && label < i + lanes) p[label - i] -= 1.0f;
    store(dlogits + i, p * scale, part);
  });
}

}  // namespace

extern const SoftmaxLeaf softmax_leaf;
const SoftmaxLeaf softmax_leaf{softmax_fwd, softmax_bwd, log_softmax_fwd, log_softmax_bwd, cross_entropy_bwd};

}  // namespace reprise::kernels::cpu::REPRISE_ISA
