// Kernels that only move elements: they copy runs of the innermost dimension.
#include <algorithm>

#include "engine/base/parallel.h"
#include "engine/kernels/cpu/base/chunks.h"
#include "engine/kernels/cpu/base/instantiate.h"
#include "engine/kernels/kernels.h"

namespace reprise::kernels::cpu {
namespace {

constexpr std::int64_t chunk = 1 << 16;

// A box's rows (runs of its last dimension), and where each begins in the larger tensor.
struct BoxRows {
  const BoxArgs& args;
  const Shape &box, &whole;
  int last;
  std::int64_t length, rows, step;

  BoxRows(const BoxArgs& a, const Shape& box_, const Shape& whole_)
      : args(a),
        box(box_),
        whole(whole_),
        last(box.rank() - 1),
        length(box.rank() == 0 ? 1 : box[-1]),
        rows(length == 0 ? 0 : box.numel() / length),
        step(box.rank() == 0 ? 1 : a.step[static_cast<std::size_t>(last)]) {}

  std::int64_t begin(std::int64_t row) const {
    if (last < 0) return 0;
    std::int64_t at = args.begin[static_cast<std::size_t>(last)], size = whole[last];
    for (int d = last - 1; d >= 0; --d) {
      const auto k = static_cast<std::size_t>(d);
      at += (args.begin[k] + row % box[d] * args.step[k]) * size;
      row /= box[d];
      size *= whole[d];
    }
    return at;
  }
};

// Calls f(row, its beginning in the larger tensor) for each row. Neighbours in the last
// dimension but one are a constant step apart.
template <class F>
void each_box_row(const BoxRows& z, F f) {
  const bool single = z.last < 1;
  const std::int64_t neighbours = single ? 1 : z.box[z.last - 1],
                     stride =
                         single ? 0 : z.args.step[static_cast<std::size_t>(z.last - 1)] * z.whole[z.last];
  const std::int64_t rows = rows_per_chunk(chunk_elements(z.rows * z.length, 4096, chunk), z.length);
  parallel_for(z.rows, rows, [&](std::int64_t b, std::int64_t e) {
    for (std::int64_t row = b; row < e;) {
      const std::int64_t end = std::min(e, row - row % neighbours + neighbours);
      for (std::int64_t at = z.begin(row); row < end; ++row, at += stride) f(row, at);
    }
  });
}

}  // namespace

template <class T>
void box_read(const BoxArgs& a, View x, MutView y) {
  if (a.transposed)
    return parallel_for(y.dim(0), rows_per_chunk(chunk, y.dim(1)), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t k = 0; k < y.dim(1); ++k)
        for (std::int64_t r = begin; r < end; ++r)
          y.data<T>()[r * y.dim(1) + k] = x.data<T>()[k * y.dim(0) + r];
    });
  const BoxRows z(a, y.shape, x.shape);
  each_box_row(z, [&](std::int64_t row, std::int64_t at) {
    const T* from = x.data<T>() + at;
    T* to = y.data<T>() + row * z.length;
    if (z.step == 1)
      std::copy(from, from + z.length, to);
    else
      for (std::int64_t i = 0; i < z.length; ++i) to[i] = from[i * z.step];
  });
}

// Zeros first, then the box.
template <class T>
void box_write(const BoxArgs& a, View x, MutView y) {
  parallel_for(y.numel(), chunk,
               [&](std::int64_t b, std::int64_t e) { std::fill(y.data<T>() + b, y.data<T>() + e, T{}); });
  const BoxRows z(a, x.shape, y.shape);
  each_box_row(z, [&](std::int64_t row, std::int64_t at) {
    const T* from = x.data<T>() + row * z.length;
    T* to = y.data<T>() + at;
    if (z.step == 1)
      std::copy(from, from + z.length, to);
    else
      for (std::int64_t i = 0; i < z.length; ++i) to[i * z.step] = from[i];
  });
}

// Each tensor is `outer` runs of its own length: its values from the joined dimension on.
template <class T>
void concat(const ConcatArgs& args, View a, View b, MutView y) {
  std::int64_t outer = 1;
  for (int d = 0; d < args.dim; ++d) outer *= y.dim(d);
  if (outer == 0) return;
  const std::int64_t run_a = a.numel() / outer, run_b = b.numel() / outer;
  parallel_for(outer, rows_per_chunk(chunk, run_a + run_b), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t k = begin; k < end; ++k) {
      const T* from_a = a.data<T>() + k * run_a;
      const T* from_b = b.data<T>() + k * run_b;
      std::copy(from_b, from_b + run_b, std::copy(from_a, from_a + run_a, y.data<T>() + k * (run_a + run_b)));
    }
  });
}

REPRISE_CPU_KERNEL(box_read);
REPRISE_CPU_KERNEL(box_write);
REPRISE_CPU_KERNEL(concat);

}  // namespace reprise::kernels::cpu
