// State dicts: a module's tensors by name, in the files' layout. data/weights reads and writes them.
#pragma once

#include <string>
#include <vector>

#include "layers/module.h"

namespace reprise::layers {

// How tensors fit a module's, by name. num_batches_tracked counts nowhere.
struct LoadReport {
  std::vector<std::string> matched;
  std::vector<std::string> missing;  // not given: "layer4.0.conv1.weight [512, 512, 3, 3]"
  std::vector<std::string> extra;    // given, but not in the module
  std::vector<std::string>
      shape_differs;                     // "fc.weight: [1000, 512] f32 in the file, [10, 512] in the network"
  REPRISE_API std::string text() const;  // a few lines for a person; long lists are cut
};

// Returns copies on the host of the tensors, in the files' layout and in the order of entries.
REPRISE_API std::vector<NamedTensor> state_dict(const std::vector<ConstEntry>& entries);
REPRISE_API std::vector<NamedTensor> state_dict(const Module& module);

REPRISE_API LoadReport compare_state_dict(const std::vector<ConstEntry>& entries,
                                          const std::vector<NamedTensor>& tensors);
// Copies the tensors that match into the module's own, which keep dtype, device and mark. Throws
// Error, and changes nothing, for a sealed tensor, for a layer after a Flatten that does not know
// its image, and, if `strict`, unless the names and shapes are the module's.
REPRISE_API LoadReport load_state_dict(const std::vector<Entry>& entries,
                                       const std::vector<NamedTensor>& tensors, bool strict = true);
REPRISE_API LoadReport load_state_dict(Module& module, const std::vector<NamedTensor>& tensors,
                                       bool strict = true);

}  // namespace reprise::layers
