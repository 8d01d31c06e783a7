// One step of an optimizer, in place, with the operations in PyTorch's order.
#include <cmath>

#include "engine/kernels/ref/loops.h"

namespace reprise::kernels::ref {

// g = grad + decay * w
// m = momentum * m + (1 - dampening) * g; in the first step m = g; absent if momentum == 0
// w -= lr * (momentum == 0 ? g : nesterov ? g + momentum * m : m)
template <class T>
void sgd_step(const SgdArgs& a, View grad, MutView param, MutView momentum) {
  const T lr = static_cast<T>(a.lr), decay = static_cast<T>(a.weight_decay), mu = static_cast<T>(a.momentum),
          take = static_cast<T>(1 - a.dampening);
  each_output(param.numel(), 4, [&](std::int64_t i) {
    T& w = param.data<T>()[i];
    T g = grad.data<T>()[i];
    if (a.weight_decay != 0) g += decay * w;
    if (a.momentum != 0) {
      T& m = momentum.data<T>()[i];
      m = a.first ? g : mu * m + take * g;
      g = a.nesterov ? g + mu * m : m;
    }
    w -= lr * g;
  });
}

// Adam: g = grad + decay * w.   AdamW (decoupled): g = grad, after w *= 1 - lr * decay.
// m += (1 - beta1) * (g - m),   v = beta2 * v + (1 - beta2) * g^2
// w -= lr / (1 - beta1^step) * m / (sqrt(v) / sqrt(1 - beta2^step) + eps)
template <class T>
void adam_step(const AdamArgs& a, View grad, MutView param, MutView m, MutView v) {
  const double step = static_cast<double>(a.step);
  const T decay = static_cast<T>(a.weight_decay), shrink = static_cast<T>(1 - a.lr * a.weight_decay);
  const T take1 = static_cast<T>(1 - a.beta1), beta2 = static_cast<T>(a.beta2),
          take2 = static_cast<T>(1 - a.beta2), eps = static_cast<T>(a.eps);
  const T rate = static_cast<T>(a.lr / (1 - std::pow(a.beta1, step)));
  const T correction = static_cast<T>(std::sqrt(1 - std::pow(a.beta2, step)));
  each_output(param.numel(), 8, [&](std::int64_t i) {
    T& w = param.data<T>()[i];
    T& mi = m.data<T>()[i];
    T& vi = v.data<T>()[i];
    T g = grad.data<T>()[i];
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
