#include "layers/reprogramming/cost.h"

#include "engine/autograd/autograd.h"
#include "layers/batch_norm.h"
#include "layers/conv2d.h"
#include "layers/summary.h"

namespace reprise::layers {

TaskCost cost_of(const Network& network) {
  TaskCost cost;
  cost.number_bytes = static_cast<std::int64_t>(size_of(network.head().weight.dtype()));
  for (const Module* m : network.modules()) {
    const bool added = dynamic_cast<const Reprogram*>(m) != nullptr, head = m == &network.head();
    const auto* bn = dynamic_cast<const BatchNorm2d*>(m);
    for (const ConstEntry& e : m->own_tensors()) {
      const std::int64_t n = e.tensor->numel();
      const bool stored = e.is_buffer ? bn != nullptr && requires_grad(bn->weight) : requires_grad(*e.tensor);
      if (stored) {
        std::int64_t& part = added           ? cost.reprogramming
                             : head          ? cost.head
                             : bn == nullptr ? cost.convolutions
                             : e.is_buffer   ? cost.statistics
                                             : cost.batch_norm;
        part += n;
      }
      if (added) continue;
      cost.network_numbers += n;
      if (e.is_buffer) continue;
      cost.network_parameters += n;
      if (!head) cost.body_parameters += n;
    }
  }
  return cost;
}

MultiplyAdds multiply_adds_of(Network& network, int height, int width) {
  MultiplyAdds sum;
  for (const LayerRow& row : summarize(network, height, width)) {
    const Module* m = network.find(row.name);
    if (dynamic_cast<const Reprogram*>(m) != nullptr)
      sum.added += row.flops / 2;
    else if (m == &network.head() || dynamic_cast<const Conv2d*>(m) != nullptr)
      sum.backbone += row.flops / 2;
  }
  return sum;
}

}  // namespace reprise::layers
