// Element-wise kernels: the array is cut into fixed chunks, with one leaf call for each.
#include "engine/kernels/cpu/leaf/elementwise.h"

#include <algorithm>
#include <type_traits>
#include <vector>

#include "engine/base/parallel.h"
#include "engine/kernels/cpu/base/instantiate.h"
#include "engine/kernels/kernels.h"

namespace reprise::kernels::cpu {
namespace {

// 256 KiB of floats fit in cache, and an activation has a few hundred such chunks. Ops with more
// arithmetic per element use smaller chunks.
constexpr std::int64_t chunk = 1 << 16, heavy_chunk = 1 << 13;
std::int64_t chunk_of(UnaryOp op) {
  return op <= UnaryOp::clamp ? chunk : heavy_chunk;
}

}  // namespace

template <class T>
void affine(const AffineArgs& args, View x, MutView y) {
  parallel_for(x.numel(), chunk, [&](std::int64_t b, std::int64_t e) {
    elementwise_leaf<T>().affine(static_cast<float>(args.scale), static_cast<float>(args.shift),
                                 x.data<T>() + b, y.data<T>() + b, e - b);
  });
}

template <class T>
void binary(const BinaryArgs& args, View a, View b, MutView y) {
  const ElementwiseLeaf<T>& leaf = elementwise_leaf<T>();
  const T* first = a.data<T>();
  T* out = y.data<T>();
  if (args.broadcast == Broadcast::channel) {
    const std::int64_t channels = b.numel(), rows = channels == 0 ? 0 : a.numel() / channels;
    parallel_for(rows, std::max<std::int64_t>(1, chunk / std::max<std::int64_t>(1, channels)),
                 [&](std::int64_t begin, std::int64_t end) {
                   const std::int64_t i = begin * channels;
                   leaf.binary_channel(args.op, first + i, b.data<float>(), out + i, end - begin, channels);
                 });
    return;
  }
  parallel_for(a.numel(), chunk, [&](std::int64_t begin, std::int64_t end) {
    if (args.broadcast == Broadcast::scalar)
      leaf.binary_scalar(args.op, first + begin, *b.data<float>(), out + begin, end - begin);
    else
      leaf.binary(args.op, first + begin, b.data<T>() + begin, out + begin, end - begin);
  });
}

template <class T>
void unary_fwd(const UnaryArgs& args, View x, MutView y) {
  parallel_for(x.numel(), chunk_of(args.op), [&](std::int64_t b, std::int64_t e) {
    elementwise_leaf<T>().unary_fwd(args, x.data<T>() + b, y.data<T>() + b, e - b);
  });
}

// Converts from any other floating type; x and y never have the same one.
template <class T>
void cast(View x, MutView y) {
  parallel_for(x.numel(), chunk, [&](std::int64_t b, std::int64_t e) {
    if (x.dtype == DType::f64) {  // f64, in which only ref computes, has no leaf
      std::vector<float> rounded(static_cast<std::size_t>(e - b));
      std::transform(x.data<double>() + b, x.data<double>() + e, rounded.begin(),
                     [](double v) { return static_cast<float>(v); });
      elementwise_leaf<T>().narrow(rounded.data(), y.data<T>() + b, e - b);
    } else if constexpr (std::is_same_v<T, float>) {
      elementwise_leaf<BFloat16>().widen(x.data<BFloat16>() + b, y.data<float>() + b, e - b);
    } else {
      elementwise_leaf<T>().narrow(x.data<float>() + b, y.data<T>() + b, e - b);
    }
  });
}

// x or y may be absent if the gradient does not need it.
template <class T>
void unary_bwd(const UnaryArgs& args, View x, View y, View dy, MutView dx) {
  parallel_for(dy.numel(), chunk_of(args.op), [&](std::int64_t b, std::int64_t e) {
    elementwise_leaf<T>().unary_bwd(args, x ? x.data<T>() + b : nullptr, y ? y.data<T>() + b : nullptr,
                                    dy.data<T>() + b, dx.data<T>() + b, e - b);
  });
}

REPRISE_CPU_KERNEL(affine);
REPRISE_CPU_KERNEL(binary);
REPRISE_CPU_KERNEL(unary_fwd);
REPRISE_CPU_KERNEL(cast);
REPRISE_CPU_KERNEL(unary_bwd);

}  // namespace reprise::kernels::cpu
