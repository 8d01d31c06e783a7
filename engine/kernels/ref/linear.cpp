// y[n,o] = sum_i x[n,i] * w[o,i] + b[o]
// dx[n,i] = sum_o dy[n,o] * w[o,i],   dw[o,i] = sum_n dy[n,o] * x[n,i],   db[o] = sum_n dy[n,o]
#include "engine/kernels/ref/loops.h"

namespace reprise::kernels::ref {

template <class T>
void linear_fwd(View x, View w, View b, MutView y) {
  const std::int64_t out = w.dim(0), in = w.dim(1);
  each_output(y.numel(), in, [&](std::int64_t k) {
    const std::int64_t n = k / out, o = k % out;
    T sum = 0;
    for (std::int64_t i = 0; i < in; ++i) sum += x.data<T>()[n * in + i] * w.data<T>()[o * in + i];
    y.data<T>()[k] = b ? sum + b.data<T>()[o] : sum;
  });
}

template <class T>
void linear_dgrad(View dy, View w, MutView dx) {
  const std::int64_t out = w.dim(0), in = w.dim(1);
  each_output(dx.numel(), out, [&](std::int64_t k) {
    const std::int64_t n = k / in, i = k % in;
    T sum = 0;
    for (std::int64_t o = 0; o < out; ++o) sum += dy.data<T>()[n * out + o] * w.data<T>()[o * in + i];
    dx.data<T>()[k] = sum;
  });
}

template <class T>
void linear_wgrad(View x, View dy, MutView dw) {
  const std::int64_t out = dw.dim(0), in = dw.dim(1), rows = x.dim(0);
  each_output(dw.numel(), rows, [&](std::int64_t k) {
    const std::int64_t i = k % in, o = k / in;
    T sum = 0;
    for (std::int64_t n = 0; n < rows; ++n) sum += x.data<T>()[n * in + i] * dy.data<T>()[n * out + o];
    dw.data<T>()[k] = sum;
  });
}

template <class T>
void linear_bgrad(View dy, MutView db) {
  const std::int64_t out = db.dim(0), rows = dy.dim(0);
  each_output(out, rows, [&](std::int64_t o) {
    T sum = 0;
    for (std::int64_t n = 0; n < rows; ++n) sum += dy.data<T>()[n * out + o];
    db.data<T>()[o] = sum;
  });
}

// y[m,n] = sum_k op(a)[m,k] * op(b)[k,n]
template <class T>
void matmul(const MatmulArgs& args, View a, View b, MutView y) {
  const std::int64_t rows = y.dim(0), columns = y.dim(1), depth = a.dim(args.transpose_a ? 0 : 1);
  each_output(y.numel(), depth, [&](std::int64_t i) {
    const std::int64_t m = i / columns, n = i % columns;
    T sum = 0;
    for (std::int64_t k = 0; k < depth; ++k)
      sum += a.data<T>()[args.transpose_a ? k * rows + m : m * depth + k] *
             b.data<T>()[args.transpose_b ? n * depth + k : k * columns + n];
    y.data<T>()[i] = sum;
  });
}

REPRISE_REF_KERNEL(linear_fwd);
REPRISE_REF_KERNEL(linear_dgrad);
REPRISE_REF_KERNEL(linear_wgrad);
REPRISE_REF_KERNEL(linear_bgrad);
REPRISE_REF_KERNEL(matmul);

}  // namespace reprise::kernels::ref
