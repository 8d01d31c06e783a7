#include "layers/simple.h"

#include "engine/base/check.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/layout.h"
#include "engine/ops/pool.h"
#include "engine/ops/unary.h"

namespace reprise::layers {

Tensor MaxPool2d::forward(const Tensor& x) {
  return ops::max_pool2d(x, args);
}
std::int64_t MaxPool2d::flops(const Shape&, const Shape& y) const {
  return y.numel() * args.kernel[0] * args.kernel[1];
}

Tensor AvgPool2d::forward(const Tensor& x) {
  return ops::avg_pool2d(x, args);
}
std::int64_t AvgPool2d::flops(const Shape&, const Shape& y) const {
  return y.numel() * args.kernel[0] * args.kernel[1];
}

Tensor GlobalAvgPool::forward(const Tensor& x) {
  return ops::global_avg_pool(x);
}
std::int64_t GlobalAvgPool::flops(const Shape& x, const Shape&) const {
  return x.numel();
}

Tensor ReLU::forward(const Tensor& x) {
  return ops::relu(x);
}
Tensor ReLU6::forward(const Tensor& x) {
  return ops::relu6(x);
}
std::int64_t ReLU::flops(const Shape&, const Shape& y) const {
  return y.numel();
}

Tensor Dropout::forward(const Tensor& x) {
  if (!is_training()) return x;
  RandomStream stream(seed, "dropout/" + path(), calls++);
  return ops::dropout(x, p, stream);
}

Tensor Flatten::forward(const Tensor& x) {
  REPRISE_CHECK(x.rank() >= 1, "flatten: the input must have at least one dimension, got a scalar");
  REPRISE_CHECK(image.rank() == 0 || x.shape().drop_front() == image,
                "flatten: expected images of {} (H,W,C), got {}", to_string(image), describe(x));
  return ops::reshape(x, {x.dim(0), x.shape().drop_front().numel()});
}

}  // namespace reprise::layers
