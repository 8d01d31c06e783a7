// Declares the methods that this folder's files define. Private to this folder.
#pragma once

#include "layers/reprogramming/method.h"

namespace reprise::layers {

extern const Method clr_method, clr_full_method, clr_mixed_method, clr_residual_method, side_conv_method,
    linear_method, bn_only_method, finetune_method, scratch_method;

}  // namespace reprise::layers
