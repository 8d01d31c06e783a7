// y[i] = a[i] op b[j],   j = i, 0 or i % C for Broadcast none, scalar or channel
#include "engine/kernels/ref/loops.h"

namespace reprise::kernels::ref {
namespace {

template <class T>
T apply(BinaryOp op, T a, T b) {
  switch (op) {
    case BinaryOp::add:
      return a + b;
    case BinaryOp::sub:
      return a - b;
    case BinaryOp::mul:
      return a * b;
    case BinaryOp::div:
      return a / b;
  }
  return a;
}

}  // namespace

template <class T>
void binary(const BinaryArgs& args, View a, View b, MutView y) {
  const std::int64_t channels = b.numel();
  each_output(a.numel(), 1, [&](std::int64_t i) {
    const std::int64_t j = args.broadcast == Broadcast::none     ? i
                           : args.broadcast == Broadcast::scalar ? 0
                                                                 : i % channels;
    y.data<T>()[i] = apply(args.op, a.data<T>()[i], b.data<T>()[j]);
  });
}

REPRISE_REF_KERNEL(binary);

}  // namespace reprise::kernels::ref
