#include "layers/reprogramming/method.h"

#include <algorithm>

#include "engine/autograd/autograd.h"
#include "engine/base/check.h"
#include "layers/batch_norm.h"
#include "layers/reprogramming/methods.h"

namespace reprise::layers {
namespace {

// Returns all modules of type M, in the order of modules(). M is const if the network is.
template <class M, class N>
std::vector<M*> all_of(N& network) {
  std::vector<M*> found;
  for (auto* m : network.modules())
    if (auto* typed = dynamic_cast<M*>(m)) found.push_back(typed);
  return found;
}

template <class N>
auto tensors_of_task(N& network) {
  decltype(network.own_tensors()) entries;
  for (auto* m : network.modules()) {
    const auto* bn = dynamic_cast<const BatchNorm2d*>(m);
    const bool with_buffers = bn != nullptr && requires_grad(bn->weight);
    for (const auto& e : m->own_tensors())
      if (e.is_buffer ? with_buffers : requires_grad(*e.tensor)) entries.push_back(e);
  }
  return entries;
}

}  // namespace

std::span<const Method* const> methods() {
  static const Method* const all[] = {&clr_method,          &clr_full_method,  &clr_mixed_method,
                                      &clr_residual_method, &side_conv_method, &linear_method,
                                      &bn_only_method,      &finetune_method,  &scratch_method};
  return all;
}

const Method& find_method(std::string_view name) {
  std::string known;
  for (const Method* m : methods()) {
    const auto& seed = m->original_names;
    if (!name.empty() && (name == m->name || std::find(seed.begin(), seed.end(), name) != seed.end()))
      return *m;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", m->name);
    if (!seed[0].empty()) known += fmt::format(" = {}", seed[0]);
    if (!seed[1].empty()) known += fmt::format(" = {}", seed[1]);
  }
  throw_error("unknown method '{}'; known are {}", name, known);
}

const Method& apply_method(Network& network, std::string_view name) {
  const Method& method = find_method(name);
  network.set_requires_grad(false);
  for (Conv2d* conv : all_of<Conv2d>(network)) {
    conv->set_reprogram(nullptr);
    conv->set_requires_grad(method.trains_convolutions);
    if (method.reprogram != nullptr) conv->set_reprogram(method.reprogram(*conv));
  }
  for (BatchNorm2d* bn : all_of<BatchNorm2d>(network)) bn->set_requires_grad(method.trains_batch_norm);
  network.head().set_requires_grad(true);
  network.train(method.train_mode);
  return method;
}

void start_values(Network& network, const InitStreams& streams) {
  for (Reprogram* layer : all_of<Reprogram>(network)) layer->reset_parameters(streams);
}

Regularised regularised(const Network& network) {
  Regularised tensors;
  for (const ConstEntry& e : network.head().own_tensors()) tensors.trained.push_back(*e.tensor);
  for (const BatchNorm2d* bn : all_of<const BatchNorm2d>(network))
    if (requires_grad(bn->weight)) tensors.trained.insert(tensors.trained.end(), {bn->weight, bn->bias});
  for (const Conv2d* conv : all_of<const Conv2d>(network)) {
    if (conv->reprogram() == nullptr) continue;
    for (const ConstEntry& e : conv->own_tensors()) tensors.frozen.push_back(*e.tensor);
    for (const Tensor& t : conv->reprogram()->penalised()) tensors.trained.push_back(t);
  }
  return tensors;
}

std::vector<Entry> task_tensors(Network& network) {
  return tensors_of_task(network);
}
std::vector<ConstEntry> task_tensors(const Network& network) {
  return tensors_of_task(network);
}

}  // namespace reprise::layers
