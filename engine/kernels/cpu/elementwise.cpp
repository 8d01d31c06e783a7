// Element-wise kernels: the array is cut into fixed chunks, each a leaf call.
#include "engine/kernels/cpu/leaf/elementwise.h"
#include "engine/core/parallel.h"
#include "engine/kernels/kernels.h"

namespace reprise::kernels::cpu {
namespace {

constexpr std::int64_t chunk =
    1 << 16;  // 256 KiB of floats: a few hundred chunks for an activation, in cache

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

}  // namespace reprise::kernels::cpu
