#include "layers/reprogramming/methods.h"

namespace reprise::layers {

// The same without a backbone: tells what the pretrained network is worth.
const Method scratch_method = {
    .name = "scratch",
    .seed_names = {"Resnet_Scratch"},
    .what = "everything trained, from random values on; needs no backbone",
    .trains_batch_norm = true,
    .trains_convolutions = true,
    .starts_at_random = true,
    .train_mode = true,
};

}  // namespace reprise::layers
