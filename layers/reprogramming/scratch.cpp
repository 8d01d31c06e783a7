#include "layers/reprogramming/methods.h"

namespace reprise::layers {

// finetune without a backbone. The difference shows what the pretrained weights contribute.
const Method scratch_method = {
    .name = "scratch",
    .original_names = {"Resnet_Scratch"},
    .what = "everything trained, starting from random values; needs no backbone",
    .trains_batch_norm = true,
    .trains_convolutions = true,
    .starts_at_random = true,
    .train_mode = true,
};

}  // namespace reprise::layers
