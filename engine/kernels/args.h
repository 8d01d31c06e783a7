// The plain parameters of kernels and ops: everything that is not a tensor.
#pragma once

#include <array>
#include <cstdint>

namespace reprise {

// A convolution over (N,H,W,C). Each pair is {height, width}; C and O are multiples of groups.
struct Conv2dArgs {
  std::array<int, 2> stride{1, 1};
  std::array<int, 2> padding{0, 0};
  std::array<int, 2> dilation{1, 1};
  int groups = 1;

  // For a filter of odd size: returns stride 1 and the padding that keeps the images' size.
  static Conv2dArgs same_size(std::int64_t rows, std::int64_t columns) {
    Conv2dArgs a;
    a.padding = {static_cast<int>(rows / 2), static_cast<int>(columns / 2)};
    return a;
  }
  // Returns the output size along axis 0 (height) or 1 (width), for `in` pixels and `kernel` taps;
  // 0 if the filter does not fit.
  std::int64_t out_size(int axis, std::int64_t in, std::int64_t kernel) const {
    const auto a = static_cast<std::size_t>(axis);
    const std::int64_t span = in + 2 * padding[a] - dilation[a] * (kernel - 1) - 1;
    return span < 0 ? 0 : span / stride[a] + 1;
  }
};

// Pooling windows over images. Each pair is {height, width}. Padding is never a maximum.
struct Pool2dArgs {
  std::array<int, 2> kernel{2, 2};
  std::array<int, 2> stride{2, 2};
  std::array<int, 2> padding{0, 0};
  bool count_include_pad = true;  // whether padding counts in a mean
  bool divides = true;            // false: a window's sum instead of its mean

  // Returns windows of kernel x kernel pixels side by side.
  static Pool2dArgs square(int kernel) { return {{kernel, kernel}, {kernel, kernel}}; }
  // As Conv2dArgs::out_size.
  std::int64_t out_size(int axis, std::int64_t in) const {
    const auto a = static_cast<std::size_t>(axis);
    const std::int64_t span = in + 2 * padding[a] - kernel[a];
    return span < 0 ? 0 : span / stride[a] + 1;
  }
};

// y = op(a) op(b), where op transposes the operand if its flag is set.
struct MatmulArgs {
  bool transpose_a = false, transpose_b = false;
};

enum class BinaryOp : std::uint8_t { add, sub, mul, div };
// The shape of b: a's (none), one value (scalar), or one value per channel of a (channel).
enum class Broadcast : std::uint8_t { none, scalar, channel };
struct BinaryArgs {
  BinaryOp op = BinaryOp::add;
  Broadcast broadcast = Broadcast::none;
};

// y = scale * x + shift
struct AffineArgs {
  double scale = 1, shift = 0;
};

// relu6 and clamp give low where x < low, high where x > high, else x.
enum class UnaryOp : std::uint8_t { relu, relu6, clamp, exp, log, sqrt, tanh, sigmoid, gelu };
struct UnaryArgs {
  UnaryOp op = UnaryOp::exp;
  double low = 0, high = 6;  // the bounds of relu6 and clamp
};

struct BatchNormArgs {
  double eps = 1e-5;
  double momentum = 0.1;  // the new value's weight, as in PyTorch; for update_running_stats only
};

// What comes last in an epilogue: nothing, max(x, 0), or that and no more than 6.
enum class Activation : std::uint8_t { none, relu, relu6 };
// A convolution and its epilogue (ops::conv_block). eps is batch norm's.
struct ConvBlockArgs {
  Conv2dArgs conv = {};
  double eps = 1e-5;
  Activation activation = Activation::relu;
};

// A box in a larger tensor: along each dimension, element i of the box is element begin + i * step
// of the tensor.
struct BoxArgs {
  std::array<std::int64_t, 6> begin{};
  std::array<std::int64_t, 6> step{1, 1, 1, 1, 1, 1};
  bool transposed = false;  // instead, for box_read: y (N,M) is x (M,N) transposed
};

struct ConcatArgs {
  int dim = 0;
};

// l1: sum |w|.   l2: sqrt(sum w^2).
// l12: the sum of the rows' l2 norms; row i is w[i,...], and a tensor of rank 1 is one row.
enum class NormKind : std::uint8_t { l1, l2, l12 };
struct NormArgs {
  NormKind kind = NormKind::l2;
};

// y = (u / 255 - mean[c]) / std[c] for a byte u of channel c, computed in this order.
struct NormalizeArgs {
  std::array<float, 4> mean{0.485f, 0.456f, 0.406f, 0};
  std::array<float, 4> std{0.229f, 0.224f, 0.225f, 1};
};

// A term of the loss, lambda * norm(param), whose gradient an optimizer step adds to the others.
struct PenaltyArgs {
  double lambda = 0;
  NormKind kind = NormKind::l2;
};

// The learning rate and the other numbers that change from step to step are an operand, `rates`.
struct SgdArgs {
  double momentum = 0, dampening = 0, weight_decay = 0;
  bool nesterov = false;
  PenaltyArgs penalty = {};
};

struct AdamArgs {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
  bool decoupled = false;  // AdamW: the decay acts on the weight, not on the gradient
  PenaltyArgs penalty = {};
};

}  // namespace reprise
