// One step of an optimizer, in place, with the operations of ../ref/optimizer.cpp in its order.
#include <cmath>

#include "engine/kernels/cuda/list.h"
#include "engine/kernels/norm.h"

namespace reprise::kernels::cuda {
namespace {

constexpr std::int64_t values_per_block = 4 * block_threads;

// A parameter: n weights with gradients, the norms of rows of `row` weights or null, and buffers.
template <class T>
struct Weights {
  T *weight, *first, *second;
  const T* grad;
  const double* norms;
  std::int64_t n, row;
  std::int64_t blocks() const { return n == 0 ? 1 : (n + values_per_block - 1) / values_per_block; }
};

template <class T, class F>
__global__ void update_kernel(const __grid_constant__ List<Weights<T>> list, NormGradient gradient,
                              F update) {
  const int at = list.item_of(blockIdx.x);
  const Weights<T> p = list.items[at];
  const std::int64_t begin = (blockIdx.x - list.first_block(at)) * values_per_block;
  const std::int64_t end = begin + values_per_block < p.n ? begin + values_per_block : p.n;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += blockDim.x) {
    T g = p.grad[i];
    if (p.norms != nullptr)
      g = static_cast<T>(gradient(static_cast<double>(p.weight[i]), p.norms[i / p.row])) + g;
    update(p, i, g);
  }
}

// Calls update(p, i, g) for each weight i of each parameter. g is the gradient, with the penalty's
// gradient added. `first` and `second` may be empty.
template <class T, class F>
void each_weight(const PenaltyArgs& a, Views grads, Views norms, MutViews params, MutViews first,
                 MutViews second, F update) {
  std::vector<Weights<T>> items;
  for (std::size_t k = 0; k < params.size(); ++k) {
    const std::int64_t n = params[k].numel(), rows = norms[k] ? norms[k].numel() : 1;
    items.push_back({params[k].data<T>(), first.empty() ? nullptr : first[k].data<T>(),
                     second.empty() ? nullptr : second[k].data<T>(), grads[k].data<T>(),
                     norms[k].data<double>(), n, rows == 0 ? 1 : n / rows});
  }
  const NormGradient gradient{a.kind == NormKind::l1, static_cast<double>(static_cast<T>(a.lambda))};
  for_lists(items, [&](const List<Weights<T>>& list, unsigned blocks) {
    const auto kernel = update_kernel<T, F>;
    const dim3 grid(blocks), block(block_threads);
    REPRISE_LAUNCH(kernel, grid, block, list, gradient, update);
  });
}

}  // namespace

template <class T>
void sgd_step(const SgdArgs& a, View rates, Views grads, Views norms, MutViews params, MutViews momenta) {
  const double* r = rates.data<double>();
  const T decay = static_cast<T>(a.weight_decay), mu = static_cast<T>(a.momentum),
          take = static_cast<T>(1 - a.dampening);
  const bool decays = a.weight_decay != 0, remembers = a.momentum != 0, nesterov = a.nesterov;
  each_weight<T>(a.penalty, grads, norms, params, momenta, {},
                 [=] __device__(const Weights<T>& p, std::int64_t i, T g) {
                   const T w = p.weight[i];
                   if (decays) g += decay * w;
                   if (remembers) {
                     const T m = r[1] != 0 ? g : mu * p.first[i] + take * g;
                     p.first[i] = m;
                     g = nesterov ? g + mu * m : m;
                   }
                   p.weight[i] = w - static_cast<T>(r[0]) * g;
                 });
}

template <class T>
void adam_step(const AdamArgs& a, View rates, Views grads, Views norms, MutViews params, MutViews m,
               MutViews v) {
  const double *r = rates.data<double>(), weight_decay = a.weight_decay;
  const T decay = static_cast<T>(a.weight_decay), take1 = static_cast<T>(1 - a.beta1),
          beta2 = static_cast<T>(a.beta2), take2 = static_cast<T>(1 - a.beta2), eps = static_cast<T>(a.eps);
  const bool decays = a.weight_decay != 0, decoupled = a.decoupled;
  each_weight<T>(a.penalty, grads, norms, params, m, v,
                 [=] __device__(const Weights<T>& p, std::int64_t i, T g) {
                   const T rate = static_cast<T>(r[0] / r[1]), correction = static_cast<T>(sqrt(r[2]));
                   T w = p.weight[i];
                   if (decays) {
                     if (decoupled)
                       w *= static_cast<T>(1 - r[0] * weight_decay);
                     else
                       g += decay * w;
                   }
                   const T old_m = p.first[i], new_m = old_m + take1 * (g - old_m);
                   const T new_v = beta2 * p.second[i] + take2 * g * g;
                   p.first[i] = new_m;
                   p.second[i] = new_v;
                   p.weight[i] = w - rate * new_m / (sqrtf(new_v) / correction + eps);
                 });
}

REPRISE_CUDA_KERNEL(sgd_step);
REPRISE_CUDA_KERNEL(adam_step);

}  // namespace reprise::kernels::cuda
