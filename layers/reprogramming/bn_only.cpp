#include "layers/reprogramming/methods.h"

namespace reprise::layers {

// CLR without its kernels: tells what batch norm alone can do.
const Method bn_only_method = {
    .name = "bn-only",
    .seed_name = "",
    .what = "batch norm and head trained, nothing added",
    .trains_batch_norm = true,
    .train_mode = true,
    .reprogram = [](const Conv2d&) -> std::unique_ptr<Reprogram> { return nullptr; },
};

}  // namespace reprise::layers
