#include "layers/reprogramming/depthwise.h"
#include "layers/reprogramming/methods.h"

namespace reprise::layers {

// Channel-wise lightweight reprogramming (Ge et al., ICCV 2023): a depthwise 3x3 convolution after
// every convolution larger than 1x1, the stem included.
const Method clr_method = {
    .name = "clr",
    .original_names = {"Ghost_reduced_v1"},
    .what = "depthwise 3x3 after every convolution larger than 1x1; batch norm and head trained",
    .trains_batch_norm = true,
    .train_mode = true,
    .reprogram = [](const Conv2d& conv) -> std::unique_ptr<Reprogram> {
      if (conv.is_pointwise()) return nullptr;
      return std::make_unique<DepthwiseReprogram>(conv, 3);
    },
};

}  // namespace reprise::layers
