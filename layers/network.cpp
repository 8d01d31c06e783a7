#include "layers/network.h"

#include "layers/conv2d.h"

namespace reprise::layers {

std::vector<Entry> Network::body() {
  std::vector<Entry> entries;
  for (Module* m : modules()) {
    if (m == &head() || dynamic_cast<Reprogram*>(m) != nullptr) continue;
    const auto own = m->own_tensors();
    entries.insert(entries.end(), own.begin(), own.end());
  }
  return entries;
}

}  // namespace reprise::layers
