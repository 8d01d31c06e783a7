// Optimizer steps, in place.
#include <cmath>

#include "engine/base/parallel.h"
#include "engine/kernels/cpu/leaf/optimizer.h"
#include "engine/kernels/cpu/norm_gradient.h"
#include "engine/kernels/kernels.h"

namespace reprise::kernels::cpu {
namespace {

constexpr std::int64_t chunk = 1 << 15;

float narrow(double v) {
  return static_cast<float>(v);
}

// Calls f(k, i, grad, n) for parts of the parameters: n elements of parameter k from element i on,
// with their gradients. Those of a penalised parameter are the norm's gradient + grad.
template <class F>
void each_part(const PenaltyArgs& a, Views grads, Views norms, MutViews params, F f) {
  std::vector<Piece> pieces;
  for (std::size_t k = 0; k < params.size(); ++k) {
    const std::int64_t rows = norms[k] ? norms[k].numel() : 1;
    add_pieces(pieces, k, 0, rows, rows == 0 ? 0 : params[k].numel() / rows, chunk);
  }
  parallel_for(std::ssize(pieces), 1, [&](std::int64_t at, std::int64_t) {
    const Piece& p = pieces[static_cast<std::size_t>(at)];
    const float* grad = grads[p.k].data<float>();
    if (!norms[p.k]) return f(p.k, p.begin, grad + p.begin, p.end - p.begin);
    constexpr std::int64_t block = 1024;
    float sum[block];
    for (std::int64_t b = p.begin; b < p.end; b += block) {
      const std::int64_t n = std::min(block, p.end - b);
      norm_gradient(a.kind, narrow(a.lambda), norms[p.k].data<double>()[p.row], params[p.k].data<float>() + b,
                    sum, n);
      for (std::int64_t i = 0; i < n; ++i) sum[i] += grad[b + i];
      f(p.k, b, sum, n);
    }
  });
}

}  // namespace

template <>
void sgd_step<float>(const SgdArgs& a, View rates, Views grads, Views norms, MutViews params,
                     MutViews momenta) {
  const double* r = rates.data<double>();
  const SgdNumbers numbers{
      narrow(r[0]),        narrow(a.weight_decay), narrow(a.momentum), narrow(1 - a.dampening),
      a.weight_decay != 0, a.momentum != 0,        a.nesterov,         r[1] != 0};
  each_part(a.penalty, grads, norms, params,
            [&](std::size_t k, std::int64_t i, const float* grad, std::int64_t n) {
              optimizer_leaf().sgd(numbers, grad, params[k].data<float>() + i,
                                   momenta.empty() ? nullptr : momenta[k].data<float>() + i, n);
            });
}

template <>
void adam_step<float>(const AdamArgs& a, View rates, Views grads, Views norms, MutViews params, MutViews m,
                      MutViews v) {
  const double *r = rates.data<double>(), lr = r[0];
  AdamNumbers numbers{};
  numbers.decay = narrow(a.weight_decay);
  numbers.shrink = narrow(1 - lr * a.weight_decay);
  numbers.take1 = narrow(1 - a.beta1);
  numbers.beta2 = narrow(a.beta2);
  numbers.take2 = narrow(1 - a.beta2);
  numbers.eps = narrow(a.eps);
  numbers.rate = narrow(lr / r[1]);
  numbers.correction = narrow(std::sqrt(r[2]));
  numbers.has_decay = a.weight_decay != 0;
  numbers.decoupled = a.decoupled;
  each_part(a.penalty, grads, norms, params,
            [&](std::size_t k, std::int64_t i, const float* grad, std::int64_t n) {
              optimizer_leaf().adam(numbers, grad, params[k].data<float>() + i, m[k].data<float>() + i,
                                    v[k].data<float>() + i, n);
            });
}

}  // namespace reprise::kernels::cpu
