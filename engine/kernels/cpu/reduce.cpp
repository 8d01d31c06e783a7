// Sums and norms: fixed chunks, whose sums are added in order, in double.
#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/base/parallel.h"
#include "engine/kernels/cpu/base/chunks.h"
#include "engine/kernels/cpu/base/instantiate.h"
#include "engine/kernels/cpu/leaf/elementwise.h"
#include "engine/kernels/cpu/leaf/reduce.h"
#include "engine/kernels/cpu/norm_gradient.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/norm.h"

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
void norm_fwd<float>(const NormArgs& a, Views x, MutView norms, MutView y) {
  const bool l1 = a.kind == NormKind::l1;
  std::vector<Piece> pieces;
  std::vector<std::int64_t> ends;  // the rows of tensors 0 to k together
  for (std::size_t k = 0; k < x.size(); ++k) {
    const std::int64_t rows = norm_rows(a.kind, x[k].shape), before = k == 0 ? 0 : ends[k - 1];
    add_pieces(pieces, k, before, rows, rows == 0 ? 0 : x[k].numel() / rows, chunk);
    ends.push_back(before + rows);
  }
  std::vector<double> parts(pieces.size());
  const auto leaf = l1 ? reduce_leaf<float>().sum_absolute : reduce_leaf<float>().sum_squares;
  parallel_for(std::ssize(pieces), 1, [&](std::int64_t at, std::int64_t) {
    const Piece& p = pieces[static_cast<std::size_t>(at)];
    parts[static_cast<std::size_t>(at)] = leaf(x[p.k].data<float>() + p.begin, p.end - p.begin);
  });
  auto* norm = norms.data<double>();
  std::fill_n(norm, norms.numel(), 0.0);
  for (std::size_t at = 0; at < pieces.size(); ++at) norm[pieces[at].row] += parts[at];
  float total = 0;
  for (std::size_t k = 0; k < x.size(); ++k) {
    double sum = 0;
    for (std::int64_t r = k == 0 ? 0 : ends[k - 1]; r < ends[k]; ++r)
      sum += norm[r] = l1 ? norm[r] : std::sqrt(norm[r]);
    total = k == 0 ? static_cast<float>(sum) : total + static_cast<float>(sum);
  }
  *y.data<float>() = total;
}

template <>
void norm_bwd<float>(const NormArgs& a, View x, View norms, View dy, MutView dx) {
  const std::int64_t rows = norms.numel(), n = rows == 0 ? 0 : x.numel() / rows;
  std::vector<Piece> pieces;
  add_pieces(pieces, 0, 0, rows, n, chunk);
  parallel_for(std::ssize(pieces), 1, [&](std::int64_t at, std::int64_t) {
    const Piece& p = pieces[static_cast<std::size_t>(at)];
    norm_gradient(a.kind, *dy.data<float>(), norms.data<double>()[p.row], x.data<float>() + p.begin,
                  dx.data<float>() + p.begin, p.end - p.begin);
  });
}

REPRISE_CPU_KERNEL(sum_all);
REPRISE_CPU_KERNEL(sum_rows);
REPRISE_CPU_KERNEL(expand);

}  // namespace reprise::kernels::cpu
