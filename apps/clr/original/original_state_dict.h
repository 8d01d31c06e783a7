// State dicts under the names that the original program gives them: the whole network as one .pth.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "apps/clr/learn/backbone.h"
#include "apps/clr/learn/task_file.h"
#include "data/weights/state_dict.h"

namespace reprise::clr {

// Every tensor of the network, in its order and in the file's layout, all under "model.":
//   X.weight and X.reprogram.weight         X.original_block.weight and X.Ghos_Mod.0.weight
//   ... where X.reprogram.scale is there    X.conv.conv_layer.weight, X.conv.ghost_layer.weight, X.combine.A
//   (1,C,1,1) X.weight and X.side.weight              X.conv_layer.weight and X.re.weight
// and num_batches_tracked (i64, no dimensions) after each running_var, from `batches_tracked` by path.
std::vector<data::NamedTensor> original_state_dict(
    layers::Network& network, const std::map<std::string, std::int64_t>& batches_tracked);

// The way back, without num_batches_tracked. Throws Error where two tensors would have one name.
std::vector<data::NamedTensor> from_original_state_dict(const std::vector<data::NamedTensor>& tensors);

// The learned task in a whole state dict: the method with the fewest own tensors such that all others have
// the backbone's bits. Class names are "0", "1", ... unless given. Error, naming the nearest, where no method
// fits.
TaskFile task_of_state_dict(const Backbone& backbone, const std::vector<data::NamedTensor>& tensors,
                            const std::vector<std::string>& classes);

}  // namespace reprise::clr
