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

enum class UnaryOp : std::uint8_t { exp, log, sqrt, tanh, sigmoid };
struct UnaryArgs {
  UnaryOp op = UnaryOp::exp;
};

struct BatchNormArgs {
  double eps = 1e-5;
  double momentum = 0.1;  // the new value's weight, as in PyTorch; for update_running_stats only
};

// A convolution and its epilogue (ops::conv_block). eps is batch norm's; relu: a ReLU comes last.
struct ConvBlockArgs {
  Conv2dArgs conv = {};
  double eps = 1e-5;
  bool relu = true;
};

// A box in a larger tensor: along each dimension, element i of the box is element begin + i * step
// of the tensor.
struct BoxArgs {
  std::array<std::int64_t, 6> begin{};
  std::array<std::int64_t, 6> step{1, 1, 1, 1, 1, 1};
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

struct SgdArgs {
  double lr = 1e-2, momentum = 0, dampening = 0, weight_decay = 0;
  bool nesterov = false;
  bool first = false;  // whether this is the first step: the momentum buffer is written, not read
};

struct AdamArgs {
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
  bool decoupled = false;  // AdamW: the decay acts on the weight, not on the gradient
  std::int64_t step = 1;   // the number of this update, from 1
};

}  // namespace reprise
