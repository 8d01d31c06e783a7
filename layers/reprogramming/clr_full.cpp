#include "layers/reprogramming/depthwise.h"
#include "layers/reprogramming/methods.h"

namespace reprise::layers {

// The paper's CLR-Full: a depthwise 3x3 after every convolution, including pointwise and shortcut
// convolutions.
const Method clr_full_method = {
    .name = "clr-full",
    .original_names = {"Ghost", "Xception_Ghost"},
    .what = "depthwise 3x3 after every convolution; batch norm and head trained",
    .trains_batch_norm = true,
    .train_mode = true,
    .reprogram = [](const Conv2d& conv) -> std::unique_ptr<Reprogram> {
      return std::make_unique<DepthwiseReprogram>(conv, 3);
    },
};

}  // namespace reprise::layers
