// Convolutions over images. They are cross-correlations: the filter is not flipped.
#pragma once

#include "engine/core/tensor.h"
#include "engine/kernels/args.h"

namespace reprise::ops {

// Computes
//   y[n,p,q,o] = bias[o] + sum_{r,s,i} x[n, h, v, g*I + i] * w[o,r,s,i]
//   h = p*stride[0] - padding[0] + r*dilation[0],   v = q*stride[1] - padding[1] + s*dilation[1]
//   g = o / (O/groups),   x = 0 outside the image
// x (N,H,W,C), w (O,R,S,I) with I = C/groups, bias (O) or undefined, y (N,OH,OW,O) in x's dtype.
// If x is bf16, w and bias are f32; w is rounded to bf16 before the products.
REPRISE_API Tensor conv2d(const Tensor& x, const Tensor& w, const Conv2dArgs& args = {},
                          const Tensor& bias = {});

// Puts conv2d(x, w, args) on the tape, for another op that has computed its result y.
void record_conv2d(const Tensor& x, const Tensor& w, const Conv2dArgs& args, Tensor& y);

// Returns the shape of conv2d's result. Throws the Errors that conv2d would throw.
REPRISE_API Shape conv2d_shape(const Tensor& x, const Tensor& w, const Conv2dArgs& args);

// Convolves each channel with its own filter: w (R,S,C), in f32 if x is bf16, y (N,OH,OW,C).
// Ignores args.groups.
REPRISE_API Tensor depthwise_conv2d(const Tensor& x, const Tensor& w, const Conv2dArgs& args = {});

}  // namespace reprise::ops
