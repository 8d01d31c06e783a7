// Along each row:   softmax(x)[c] = exp(x[c] - m) / sum_k exp(x[k] - m),   m = max_k x[k]
#include <cmath>

#include "engine/kernels/ref/loops.h"

namespace reprise::kernels::ref {
namespace {

// Returns the index of the first largest of n values.
template <class T>
std::int64_t first_largest(const T* x, std::int64_t n) {
  std::int64_t best = 0;
  for (std::int64_t c = 1; c < n; ++c)
    if (x[c] > x[best]) best = c;
  return best;
}

template <class T>
T sum_of_exp(const T* x, std::int64_t n, T largest) {
  T sum = 0;
  for (std::int64_t c = 0; c < n; ++c) sum += std::exp(x[c] - largest);
  return sum;
}

}  // namespace

template <class T>
void softmax_fwd(View x, MutView y) {
  const std::int64_t n = x.dim(1);
  each_output(n == 0 ? 0 : x.dim(0), 20 * n, [&](std::int64_t row) {
    const T* in = x.data<T>() + row * n;
    const T largest = in[first_largest(in, n)], sum = sum_of_exp(in, n, largest);
    for (std::int64_t c = 0; c < n; ++c) y.data<T>()[row * n + c] = std::exp(in[c] - largest) / sum;
  });
}

// dx = y * (dy - sum_k dy[k] y[k])
template <class T>
void softmax_bwd(View y, View dy, MutView dx) {
  const std::int64_t n = y.dim(1);
  each_output(y.dim(0), 3 * n, [&](std::int64_t row) {
    const T* out = y.data<T>() + row * n;
    const T* grad = dy.data<T>() + row * n;
    T dot = 0;
    for (std::int64_t c = 0; c < n; ++c) dot += grad[c] * out[c];
    for (std::int64_t c = 0; c < n; ++c) dx.data<T>()[row * n + c] = out[c] * (grad[c] - dot);
  });
}

// y = x - m - log(sum_k exp(x[k] - m))
template <class T>
void log_softmax_fwd(View x, MutView y) {
  const std::int64_t n = x.dim(1);
  each_output(n == 0 ? 0 : x.dim(0), 20 * n, [&](std::int64_t row) {
    const T* in = x.data<T>() + row * n;
    const T largest = in[first_largest(in, n)], log_sum = std::log(sum_of_exp(in, n, largest));
    for (std::int64_t c = 0; c < n; ++c) y.data<T>()[row * n + c] = in[c] - largest - log_sum;
  });
}

// dx = dy - exp(y) * sum_k dy[k]
template <class T>
void log_softmax_bwd(View y, View dy, MutView dx) {
  const std::int64_t n = y.dim(1);
  each_output(y.dim(0), 20 * n, [&](std::int64_t row) {
    const T* grad = dy.data<T>() + row * n;
    T sum = 0;
    for (std::int64_t c = 0; c < n; ++c) sum += grad[c];
    for (std::int64_t c = 0; c < n; ++c)
      dx.data<T>()[row * n + c] = grad[c] - std::exp(y.data<T>()[row * n + c]) * sum;
  });
}

// loss = mean over the rows of -log_probs[n, labels[n]]
template <class T>
void nll_fwd(View log_probs, View labels, MutView loss) {
  const std::int64_t rows = log_probs.dim(0), n = log_probs.dim(1);
  double sum = 0;
  for (std::int64_t row = 0; row < rows; ++row)
    sum -= static_cast<double>(log_probs.data<T>()[row * n + labels.data<std::int64_t>()[row]]);
  *loss.data<T>() = static_cast<T>(sum / static_cast<double>(rows));
}

// dlogits = (softmax - onehot(label)) * dloss / rows
template <class T>
void cross_entropy_bwd(View log_probs, View labels, View dloss, MutView dlogits) {
  const std::int64_t rows = log_probs.dim(0), n = log_probs.dim(1);
  const T scale = *dloss.data<T>() / static_cast<T>(rows);
  each_output(rows, 20 * n, [&](std::int64_t row) {
    for (std::int64_t c = 0; c < n; ++c) {
      const T onehot = c == labels.data<std::int64_t>()[row] ? T(1) : T(0);
      dlogits.data<T>()[row * n + c] = (std::exp(log_probs.data<T>()[row * n + c]) - onehot) * scale;
    }
  });
}

template <class T>
void argmax_rows(View x, MutView y) {
  const std::int64_t n = x.dim(1);
  each_output(x.dim(0), n, [&](std::int64_t row) {
    y.data<std::int64_t>()[row] = first_largest(x.data<T>() + row * n, n);
  });
}

REPRISE_REF_KERNEL(softmax_fwd);
REPRISE_REF_KERNEL(softmax_bwd);
REPRISE_REF_KERNEL(log_softmax_fwd);
REPRISE_REF_KERNEL(log_softmax_bwd);
REPRISE_REF_KERNEL(nll_fwd);
REPRISE_REF_KERNEL(cross_entropy_bwd);
REPRISE_REF_KERNEL(argmax_rows);

}  // namespace reprise::kernels::ref
