// State dicts as the original writes them: the whole network under its names, as one .pth.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "apps/clr/learn/backbone.h"
#include "apps/clr/learn/task_file.h"
#include "data/weights/state_dict.h"

namespace reprise::clr {

// Returns every tensor of the network, in the network's order and in the file's layout (PyTorch's),
// under the original's names. Each name begins with "model.". For a convolution X:
//
//   ours                                        the original's
//   X.weight, X.reprogram.weight                X.original_block.weight, X.Ghos_Mod.0.weight
//   X.weight, X.reprogram.weight and .scale     X.conv.conv_layer.weight, X.conv.ghost_layer.weight,
//                                               X.combine.A (1,C,1,1)
//   X.weight, X.side.weight                     X.conv_layer.weight, X.re.weight
//
// After each running_var comes num_batches_tracked (i64, no dimensions), from `batches_tracked` by
// the batch norm's path; 0 if it is absent there.
std::vector<data::NamedTensor> original_state_dict(
    layers::Network& network, const std::map<std::string, std::int64_t>& batches_tracked);

// Renames the tensors of such a state dict to our names and drops num_batches_tracked.
// Throws Error if two tensors would get one name.
std::vector<data::NamedTensor> from_original_state_dict(const std::vector<data::NamedTensor>& tensors);

// Finds the learned task in the tensors of a whole network (under our names). Chooses the method
// that trains the fewest numbers, among those for which every frozen tensor has the backbone's
// bits. Class names are "0", "1", … unless given. Throws an Error that describes the nearest method
// if none fits. The task's name stays empty.
TaskFile task_of_state_dict(const Backbone& backbone, const std::vector<data::NamedTensor>& tensors,
                            const std::vector<std::string>& classes);

}  // namespace reprise::clr
