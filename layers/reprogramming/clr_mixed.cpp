#include "layers/reprogramming/depthwise.h"
#include "layers/reprogramming/methods.h"

namespace reprise::layers {

// Between clr and clr-full: a depthwise 3x3 after larger convolutions, and a scale per channel
// (a depthwise 1x1) after pointwise ones.
const Method clr_mixed_method = {
    .name = "clr-mixed",
    .original_names = {"Ghost_reduced_v2"},
    .what =
        "depthwise 3x3 after larger convolutions, a scale per channel after 1x1; batch norm and head trained",
    .trains_batch_norm = true,
    .train_mode = true,
    .reprogram = [](const Conv2d& conv) -> std::unique_ptr<Reprogram> {
      return std::make_unique<DepthwiseReprogram>(conv, conv.is_pointwise() ? 1 : 3);
    },
};

}  // namespace reprise::layers
