// Convolutions over images.
#pragma once

#include "engine/core/tensor.h"
#include "engine/kernels/args.h"

namespace reprise::ops {

// y[n,oh,ow,o] = sum over r,s,i of x[n, oh*stride - padding + r*dilation, ow*..., i] * w[o,r,s,i]
// (cross-correlation). x (N,H,W,C), w (O,R,S,C/groups), bias (O) or undefined, result (N,OH,OW,O). Error if
// sizes, dtypes or devices differ. Beside a bf16 x the filter is f32, and conv2d rounds it to bf16 as it
// packs it.
REPRISE_API Tensor conv2d(const Tensor& x, const Tensor& w, const Conv2dArgs& args = {},
                          const Tensor& bias = {});

// Records y as conv2d(x, w, args): for ops that make it in another way.
void record_conv2d(const Tensor& x, const Tensor& w, const Conv2dArgs& args, Tensor& y);

// The shape of conv2d's result; Error where it would give one.
REPRISE_API Shape conv2d_shape(const Tensor& x, const Tensor& w, const Conv2dArgs& args);

// The same with one filter per channel: w (R,S,C). args.groups is not looked at.
REPRISE_API Tensor depthwise_conv2d(const Tensor& x, const Tensor& w, const Conv2dArgs& args = {});

}  // namespace reprise::ops
