// Boxes (element i lies at begin + i * step) and concatenation, defined in ../ref/layout.cpp.
#include "engine/kernels/cuda/launch.h"

namespace reprise::kernels::cuda {
namespace {

constexpr int max_rank = Shape::max_rank;

// The sizes of a box op's two tensors, in a form that kernels take by value.
struct Box {
  int rank;
  std::int64_t begin[max_rank], step[max_rank], x[max_rank], y[max_rank];
  Box(const BoxArgs& a, const Shape& of_x, const Shape& of_y) : rank(of_y.rank()) {
    for (int d = 0; d < max_rank; ++d) {
      const auto k = static_cast<std::size_t>(d);
      begin[d] = a.begin[k];
      step[d] = a.step[k];
      x[d] = d < rank ? of_x[d] : 1;
      y[d] = d < rank ? of_y[d] : 1;
    }
  }
};

}  // namespace

template <class T>
void box_read(const BoxArgs& a, View x, MutView y) {
  const T* in = x.data<T>();
  T* out = y.data<T>();
  if (a.transposed) {
    const std::int64_t rows = y.dim(0), columns = y.dim(1);
    return each_element(y.numel(),
                        [=] __device__(std::int64_t i) { out[i] = in[i % columns * rows + i / columns]; });
  }
  const Box box(a, x.shape, y.shape);
  each_element(y.numel(), [=] __device__(std::int64_t i) {
    std::int64_t from = 0, size = 1, rest = i;
    for (int d = box.rank - 1; d >= 0; --d) {
      from += (box.begin[d] + rest % box.y[d] * box.step[d]) * size;
      rest /= box.y[d];
      size *= box.x[d];
    }
    out[i] = in[from];
  });
}

// Writes x into the box of y, and zeros outside it.
template <class T>
void box_write(const BoxArgs& a, View x, MutView y) {
  const Box box(a, x.shape, y.shape);
  const T* in = x.data<T>();
  T* out = y.data<T>();
  each_element(y.numel(), [=] __device__(std::int64_t i) {
    std::int64_t from = 0, size = 1, rest = i;
    bool inside = true;
    for (int d = box.rank - 1; d >= 0; --d) {
      const std::int64_t place = rest % box.y[d] - box.begin[d];
      inside = inside && place >= 0 && place % box.step[d] == 0 && place / box.step[d] < box.x[d];
      from += place / box.step[d] * size;
      rest /= box.y[d];
      size *= box.x[d];
    }
    out[i] = inside ? in[from] : T{};
  });
}

// From dimension args.dim on, each tensor is a sequence of contiguous runs.
// A run of y is one of a followed by one of b.
template <class T>
void concat(const ConcatArgs& args, View a, View b, MutView y) {
  std::int64_t inner = 1;
  for (int d = args.dim; d < y.shape.rank(); ++d) inner *= y.dim(d);
  const std::int64_t tail = y.dim(args.dim) == 0 ? 0 : inner / y.dim(args.dim),
                     run_a = a.dim(args.dim) * tail, run_b = b.dim(args.dim) * tail;
  const T *first = a.data<T>(), *second = b.data<T>();
  T* out = y.data<T>();
  each_element(y.numel(), [=] __device__(std::int64_t i) {
    const std::int64_t outer = i / inner, k = i % inner;
    out[i] = k < run_a ? first[outer * run_a + k] : second[outer * run_b + k - run_a];
  });
}

REPRISE_CUDA_IMAGE_KERNEL(box_read);
REPRISE_CUDA_IMAGE_KERNEL(box_write);
REPRISE_CUDA_IMAGE_KERNEL(concat);

}  // namespace reprise::kernels::cuda
