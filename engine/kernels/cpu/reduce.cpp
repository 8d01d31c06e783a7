// Sums and norms: fixed chunks, whose sums are added in order, in double.
#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/base/parallel.h"
#include "engine/kernels/cpu/base/chunks.h"
#include "engine/kernels/cpu/base/instantiate.h"
#include "engine/kernels/cpu/leaf/elementwise.h"
#include "engine/kernels/cpu/leaf/reduce.h"
#include "engine/kernels/kernels.h"

namespace reprise::kernels::cpu {
namespace {

constexpr std::int64_t chunk = 1 << 16;

// Returns the sum over n values, where `leaf` sums a chunk.
template <class T>
double chunked_sum(double (*leaf)(const T*, std::int64_t), const T* x, std::int64_t n) {
  std::vector<double> parts(static_cast<std::size_t>((n + chunk - 1) / chunk));
  parallel_for(n, chunk, [&](std::int64_t b, std::int64_t e) {
    parts[static_cast<std::size_t>(b / chunk)] = leaf(x + b, e - b);
  });
  double sum = 0;
  for (double p : parts) sum += p;
  return sum;
}

// Returns the number of rows: the length of the first axis for l12 (except in rank 1), else 1.
std::int64_t rows_of(NormKind kind, const Shape& x) {
  return kind == NormKind::l12 && x.rank() > 1 ? x[0] : 1;
}

// Returns the l2 norm of each row.
std::vector<double> row_norms(const float* x, std::int64_t rows, std::int64_t n) {
  std::vector<double> norms(static_cast<std::size_t>(rows));
  for (std::int64_t r = 0; r < rows; ++r)
    norms[static_cast<std::size_t>(r)] =
        std::sqrt(chunked_sum(reduce_leaf<float>().sum_squares, x + r * n, n));
  return norms;
}

}  // namespace

template <class T>
void sum_all(View x, MutView y) {
  *y.data<float>() = static_cast<float>(chunked_sum(reduce_leaf<T>().sum, x.data<T>(), x.numel()));
}

template <class T>
void sum_rows(View x, MutView y) {
  const std::int64_t channels = y.numel();
  const Chunks z(x.numel(), channels, chunk);
  std::vector<float> parts(static_cast<std::size_t>(z.count * channels));
  parallel_for(z.count, 1, [&](std::int64_t k, std::int64_t) {
    reduce_leaf<T>().sum_rows(x.data<T>() + z.begin(k) * channels, parts.data() + k * channels, z.rows(k),
                              channels);
  });
  for (std::int64_t c = 0; c < channels; ++c) {
    double sum = 0;
    for (std::int64_t k = 0; k < z.count; ++k)
      sum += static_cast<double>(parts[static_cast<std::size_t>(k * channels + c)]);
    y.data<float>()[c] = static_cast<float>(sum);
  }
}

// x is f32.
template <class T>
void expand(View x, MutView y) {
  const std::int64_t channels = x.numel(), rows = channels == 0 ? 0 : y.numel() / channels;
  std::vector<T> row(static_cast<std::size_t>(channels));
  elementwise_leaf<T>().narrow(x.data<float>(), row.data(), channels);
  parallel_for(rows, rows_per_chunk(chunk, channels), [&](std::int64_t b, std::int64_t e) {
    T* out = y.data<T>() + b * channels;
    if (channels == 1)
      std::fill(out, out + (e - b), row[0]);
    else
      for (std::int64_t r = b; r < e; ++r, out += channels) std::copy(row.begin(), row.end(), out);
  });
}

template <>
void norm_fwd<float>(const NormArgs& a, View x, MutView y) {
  const std::int64_t rows = rows_of(a.kind, x.shape), n = rows == 0 ? 0 : x.numel() / rows;
  double sum = 0;
  if (a.kind == NormKind::l1)
    sum = chunked_sum(reduce_leaf<float>().sum_absolute, x.data<float>(), x.numel());
  else
    for (double norm : row_norms(x.data<float>(), rows, n)) sum += norm;
  *y.data<float>() = static_cast<float>(sum);
}

// l1: dx = dy * sign(x).   l2, l12: dx = dy * x / (the norm of x's row), 0 where that norm is 0.
template <>
void norm_bwd<float>(const NormArgs& a, View x, View dy, MutView dx) {
  const std::int64_t rows = rows_of(a.kind, x.shape), n = rows == 0 ? 0 : x.numel() / rows;
  const float grad = *dy.data<float>();
  const float* in = x.data<float>();
  float* out = dx.data<float>();
  if (a.kind == NormKind::l1) {
    parallel_for(x.numel(), chunk, [&](std::int64_t b, std::int64_t e) {
      for (std::int64_t i = b; i < e; ++i)
        out[i] = grad * static_cast<float>(static_cast<int>(in[i] > 0) - static_cast<int>(in[i] < 0));
    });
    return;
  }
  const std::vector<double> norms = row_norms(in, rows, n);
  for (std::int64_t r = 0; r < rows; ++r) {
    const double norm = norms[static_cast<std::size_t>(r)];
    const double scale = norm == 0 ? 0 : static_cast<double>(grad) / norm;
    parallel_for(n, chunk, [&](std::int64_t b, std::int64_t e) {
      for (std::int64_t i = r * n + b; i < r * n + e; ++i)
        out[i] = static_cast<float>(scale * static_cast<double>(in[i]));
    });
  }
}

REPRISE_CPU_KERNEL(sum_all);
REPRISE_CPU_KERNEL(sum_rows);
REPRISE_CPU_KERNEL(expand);

}  // namespace reprise::kernels::cpu
