// One step of an optimizer, in place, with the operations in PyTorch's order.
#include <cmath>

#include "engine/kernels/norm.h"
#include "engine/kernels/ref/loops.h"

namespace reprise::kernels::ref {
namespace {

// Calls f(k, i, g) for each element i of each parameter k, where
//   g = grad, or the gradient of lambda * norm(w) + grad if the parameter is penalised
template <class T, class F>
void each_weight(const PenaltyArgs& a, Views grads, Views norms, MutViews params, F f) {
  const NormGradient gradient{a.kind == NormKind::l1, static_cast<double>(static_cast<T>(a.lambda))};
  for (std::size_t k = 0; k < params.size(); ++k) {
    const T *w = params[k].data<T>(), *grad = grads[k].data<T>();
    const auto* norm = norms[k].data<double>();
    const std::int64_t row = norms[k].numel() == 0 ? 1 : params[k].numel() / norms[k].numel();
    each_output(params[k].numel(), 8, [&](std::int64_t i) {
      T g = grad[i];
      if (norm != nullptr) g = static_cast<T>(gradient(static_cast<double>(w[i]), norm[i / row])) + g;
      f(k, i, g);
    });
  }
}

}  // namespace

// g = grad + decay * w
// m = momentum * m + (1 - dampening) * g; in the first step m = g; absent if momentum == 0
// w -= lr * (momentum == 0 ? g : nesterov ? g + momentum * m : m)
template <class T>
void sgd_step(const SgdArgs& a, View rates, Views grads, Views norms, MutViews params, MutViews momenta) {
  const T lr = static_cast<T>(rates.data<double>()[0]), decay = static_cast<T>(a.weight_decay),
          mu = static_cast<T>(a.momentum), take = static_cast<T>(1 - a.dampening);
  const bool first = rates.data<double>()[1] != 0;
  each_weight<T>(a.penalty, grads, norms, params, [&](std::size_t k, std::int64_t i, T g) {
    T& w = params[k].data<T>()[i];
    if (a.weight_decay != 0) g += decay * w;
    if (a.momentum != 0) {
      T& m = momenta[k].data<T>()[i];
      m = first ? g : mu * m + take * g;
      g = a.nesterov ? g + mu * m : m;
    }
    w -= lr * g;
  });
}

// Adam: g = grad + decay * w.   AdamW (decoupled): g = grad, after w *= 1 - lr * decay.
// m += (1 - beta1) * (g - m),   v = beta2 * v + (1 - beta2) * g^2
// w -= lr / (1 - beta1^step) * m / (sqrt(v) / sqrt(1 - beta2^step) + eps)
template <class T>
void adam_step(const AdamArgs& a, View rates, Views grads, Views norms, MutViews params, MutViews m,
               MutViews v) {
  const double *r = rates.data<double>(), lr = r[0];
  const T decay = static_cast<T>(a.weight_decay), shrink = static_cast<T>(1 - lr * a.weight_decay);
  const T take1 = static_cast<T>(1 - a.beta1), beta2 = static_cast<T>(a.beta2),
          take2 = static_cast<T>(1 - a.beta2), eps = static_cast<T>(a.eps);
  const T rate = static_cast<T>(lr / r[1]), correction = static_cast<T>(std::sqrt(r[2]));
  each_weight<T>(a.penalty, grads, norms, params, [&](std::size_t k, std::int64_t i, T g) {
    T& w = params[k].data<T>()[i];
    T& mi = m[k].data<T>()[i];
    T& vi = v[k].data<T>()[i];
    if (a.weight_decay != 0) {
      if (a.decoupled)
        w *= shrink;
      else
        g += decay * w;
    }
    mi += take1 * (g - mi);
    vi = beta2 * vi + take2 * g * g;
    w -= rate * mi / (std::sqrt(vi) / correction + eps);
  });
}

REPRISE_REF_KERNEL(sgd_step);
REPRISE_REF_KERNEL(adam_step);

}  // namespace reprise::kernels::ref
