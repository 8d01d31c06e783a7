#include "layers/reprogramming/methods.h"

namespace reprise::layers {

// The upper bound in cost: every task trains a whole network, starting from the backbone's values.
const Method finetune_method = {
    .name = "finetune",
    .original_names = {"Finetune"},
    .what = "everything trained, starting from the backbone's values; nothing added",
    .trains_batch_norm = true,
    .trains_convolutions = true,
    .train_mode = true,
};

}  // namespace reprise::layers
