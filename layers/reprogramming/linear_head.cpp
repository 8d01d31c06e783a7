#include "layers/reprogramming/methods.h"

namespace reprise::layers {

// The baseline: trains only a new head, on frozen features.
const Method linear_method = {
    .name = "linear",
    .original_names = {"Linear", "Xception_Linear"},
    .what = "only the head is trained; the network runs in evaluation mode",
    .trains_batch_norm = false,
    .train_mode = false,
};

}  // namespace reprise::layers
