// Moving elements. Along each dimension, element i of a box is element begin + i * step of the
// larger tensor.
#include "engine/kernels/ref/loops.h"

namespace reprise::kernels::ref {

template <class T>
void box_read(const BoxArgs& a, View x, MutView y) {
  if (a.transposed)
    return each_output(y.numel(), 1, [&](std::int64_t i) {
      y.data<T>()[i] = x.data<T>()[i % y.dim(1) * y.dim(0) + i / y.dim(1)];
    });
  each_output(y.numel(), y.shape.rank(), [&](std::int64_t i) {
    std::int64_t from = 0, size = 1, rest = i;
    for (int d = y.shape.rank() - 1; d >= 0; --d) {
      const auto k = static_cast<std::size_t>(d);
      from += (a.begin[k] + rest % y.dim(d) * a.step[k]) * size;
      rest /= y.dim(d);
      size *= x.dim(d);
    }
    y.data<T>()[i] = x.data<T>()[from];
  });
}

// y is x inside the box, and 0 outside.
template <class T>
void box_write(const BoxArgs& a, View x, MutView y) {
  each_output(y.numel(), y.shape.rank(), [&](std::int64_t i) {
    std::int64_t from = 0, size = 1, rest = i;
    bool inside = true;
    for (int d = y.shape.rank() - 1; d >= 0; --d) {
      const auto k = static_cast<std::size_t>(d);
      const std::int64_t place = rest % y.dim(d) - a.begin[k];
      inside &= place >= 0 && place % a.step[k] == 0 && place / a.step[k] < x.dim(d);
      from += place / a.step[k] * size;
      rest /= y.dim(d);
      size *= x.dim(d);
    }
    y.data<T>()[i] = inside ? x.data<T>()[from] : T(0);
  });
}

// Elements from dimension `dim` inwards form a run. y has a run of a, a run of b, and so on.
template <class T>
void concat(const ConcatArgs& args, View a, View b, MutView y) {
  std::int64_t inner = 1;
  for (int d = args.dim; d < y.shape.rank(); ++d) inner *= y.dim(d);
  const std::int64_t tail = y.dim(args.dim) == 0 ? 0 : inner / y.dim(args.dim),
                     run_a = a.dim(args.dim) * tail, run_b = b.dim(args.dim) * tail;
  each_output(y.numel(), 1, [&](std::int64_t i) {
    const std::int64_t outer = i / inner, k = i % inner;
    y.data<T>()[i] = k < run_a ? a.data<T>()[outer * run_a + k] : b.data<T>()[outer * run_b + k - run_a];
  });
}

REPRISE_REF_KERNEL(box_read);
REPRISE_REF_KERNEL(box_write);
REPRISE_REF_KERNEL(concat);

}  // namespace reprise::kernels::ref
