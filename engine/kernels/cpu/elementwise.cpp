// Element-wise kernels: the array is cut into fixed chunks, each a leaf call.
#include "engine/kernels/cpu/leaf/elementwise.h"

#include <algorithm>

#include "engine/core/parallel.h"
#include "engine/kernels/kernels.h"

namespace reprise::kernels::cpu {
namespace {

// 256 KiB of floats: a few hundred chunks for an activation, each in cache. Arithmetic beyond a few
// operations per element pays for smaller chunks.
constexpr std::int64_t chunk = 1 << 16, heavy_chunk = 1 << 13;

}  // namespace

template <>
void relu_fwd<float>(View x, MutView y) {
  parallel_for(x.numel(), chunk, [&](std::int64_t b, std::int64_t e) {
    elementwise_leaf().relu_fwd(x.data<float>() + b, y.data<float>() + b, e - b);
  });
}

template <>
void relu_bwd<float>(View y, View dy, MutView dx) {
  parallel_for(y.numel(), chunk, [&](std::int64_t b, std::int64_t e) {
    elementwise_leaf().relu_bwd(y.data<float>() + b, dy.data<float>() + b, dx.data<float>() + b, e - b);
  });
}

template <>
void affine<float>(const AffineArgs& args, View x, MutView y) {
  parallel_for(x.numel(), chunk, [&](std::int64_t b, std::int64_t e) {
    elementwise_leaf().affine(static_cast<float>(args.scale), static_cast<float>(args.shift),
                              x.data<float>() + b, y.data<float>() + b, e - b);
  });
}

template <>
void binary<float>(const BinaryArgs& args, View a, View b, MutView y) {
  const ElementwiseLeaf& leaf = elementwise_leaf();
  const float* first = a.data<float>();
  const float* second = b.data<float>();
  float* out = y.data<float>();
  if (args.broadcast == Broadcast::channel) {
    const std::int64_t channels = b.numel(), rows = channels == 0 ? 0 : a.numel() / channels;
    parallel_for(rows, std::max<std::int64_t>(1, chunk / std::max<std::int64_t>(1, channels)),
                 [&](std::int64_t begin, std::int64_t end) {
                   const std::int64_t i = begin * channels;
                   leaf.binary_channel(args.op, first + i, second, out + i, end - begin, channels);
                 });
    return;
  }
  parallel_for(a.numel(), chunk, [&](std::int64_t begin, std::int64_t end) {
    if (args.broadcast == Broadcast::scalar)
      leaf.binary_scalar(args.op, first + begin, *second, out + begin, end - begin);
    else
      leaf.binary(args.op, first + begin, second + begin, out + begin, end - begin);
  });
}

template <>
void unary_fwd<float>(const UnaryArgs& args, View x, MutView y) {
  parallel_for(x.numel(), heavy_chunk, [&](std::int64_t b, std::int64_t e) {
    elementwise_leaf().unary_fwd(args.op, x.data<float>() + b, y.data<float>() + b, e - b);
  });
}

// Of x and y the one that the derivative does not need may be absent.
template <>
void unary_bwd<float>(const UnaryArgs& args, View x, View y, View dy, MutView dx) {
  parallel_for(dy.numel(), heavy_chunk, [&](std::int64_t b, std::int64_t e) {
    elementwise_leaf().unary_bwd(args.op, x ? x.data<float>() + b : nullptr,
                                 y ? y.data<float>() + b : nullptr, dy.data<float>() + b,
                                 dx.data<float>() + b, e - b);
  });
}

}  // namespace reprise::kernels::cpu
