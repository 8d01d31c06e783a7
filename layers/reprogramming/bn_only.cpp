#include "layers/reprogramming/methods.h"

namespace reprise::layers {

// CLR without its depthwise kernels. It shows how much training only batch norm and head achieves.
const Method bn_only_method = {
    .name = "bn-only",
    .original_names = {},
    .what = "batch norm and head trained, nothing added",
    .trains_batch_norm = true,
    .train_mode = true,
};

}  // namespace reprise::layers
