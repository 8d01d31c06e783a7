#include "layers/network.h"

#include "layers/conv2d.h"

namespace reprise::layers {

std::vector<ConstEntry> Network::body() const {
  std::vector<ConstEntry> entries;
  for (const Module* m : modules()) {
    if (m == head_ || dynamic_cast<const Reprogram*>(m) != nullptr) continue;
    const auto own = m->own_tensors();
    entries.insert(entries.end(), own.begin(), own.end());
  }
  return entries;
}

}  // namespace reprise::layers
