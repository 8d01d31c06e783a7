#include "layers/reprogramming/methods.h"

namespace reprise::layers {

// The upper bound in cost: every task trains a whole network of its own, from the backbone's values on.
const Method finetune_method = {
    .name = "finetune",
    .seed_names = {"Finetune"},
    .what = "everything trained, from the backbone's values on; nothing added",
    .trains_batch_norm = true,
    .trains_convolutions = true,
    .train_mode = true,
};

}  // namespace reprise::layers
