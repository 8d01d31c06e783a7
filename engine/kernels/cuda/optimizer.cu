// One step of an optimizer, in place, with the operations of ../ref/optimizer.cpp in its order.
#include <cmath>

#include "engine/kernels/cuda/launch.h"

namespace reprise::kernels::cuda {

template <class T>
void sgd_step(const SgdArgs& a, View grad, MutView param, MutView momentum) {
  const T lr = static_cast<T>(a.lr), decay = static_cast<T>(a.weight_decay), mu = static_cast<T>(a.momentum),
          take = static_cast<T>(1 - a.dampening);
  const bool decays = a.weight_decay != 0, remembers = a.momentum != 0, first = a.first,
             nesterov = a.nesterov;
  const T* gradient = grad.data<T>();
  T *weight = param.data<T>(), *moment = momentum.data<T>();
  each_element(param.numel(), [=] __device__(std::int64_t i) {
    T g = gradient[i];
    const T w = weight[i];
    if (decays) g += decay * w;
    if (remembers) {
      const T m = first ? g : mu * moment[i] + take * g;
      moment[i] = m;
      g = nesterov ? g + mu * m : m;
    }
    weight[i] = w - lr * g;
  });
}

template <class T>
void adam_step(const AdamArgs& a, View grad, MutView param, MutView m, MutView v) {
  const double step = static_cast<double>(a.step);
  const T decay = static_cast<T>(a.weight_decay), shrink = static_cast<T>(1 - a.lr * a.weight_decay);
  const T take1 = static_cast<T>(1 - a.beta1), beta2 = static_cast<T>(a.beta2),
          take2 = static_cast<T>(1 - a.beta2), eps = static_cast<T>(a.eps);
  const T rate = static_cast<T>(a.lr / (1 - std::pow(a.beta1, step)));
  const T correction = static_cast<T>(std::sqrt(1 - std::pow(a.beta2, step)));
  const bool decays = a.weight_decay != 0, decoupled = a.decoupled;
  const T* gradient = grad.data<T>();
  T *weight = param.data<T>(), *first = m.data<T>(), *second = v.data<T>();
  each_element(param.numel(), [=] __device__(std::int64_t i) {
    T w = weight[i], g = gradient[i];
    if (decays) {
      if (decoupled)
        w *= shrink;
      else
        g += decay * w;
    }
    const T old_m = first[i], new_m = old_m + take1 * (g - old_m);
    const T new_v = beta2 * second[i] + take2 * g * g;
    first[i] = new_m;
    second[i] = new_v;
    weight[i] = w - rate * new_m / (sqrtf(new_v) / correction + eps);
  });
}

REPRISE_CUDA_KERNEL(sgd_step);
REPRISE_CUDA_KERNEL(adam_step);

}  // namespace reprise::kernels::cuda
