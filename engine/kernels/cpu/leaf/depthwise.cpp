#include "engine/kernels/cpu/leaf/depthwise.h"

#include "engine/kernels/cpu/leaf/vec.h"

namespace reprise::kernels::cpu::REPRISE_ISA {
namespace {

// Moves p by a step, hidden from the compiler: it would keep each multiple of the step
// in a register of its own, and there are not enough.
template <class T>
REPRISE_INLINE void advance(T*& p, std::int64_t step) {
  p += step;
  __asm__("" : "+r"(p));
}

// Computes `block` neighbouring outputs, which share each load of a tap. The loop over
// channels is outermost, so sums stay in registers.
template <int block, int fixed, class T>
REPRISE_INLINE void gather_block(const Window& z, const T* in, const float* taps, T* out) {
  const std::int64_t rows = fixed ? fixed : z.rows, columns = fixed ? fixed : z.columns;
  for_vectors(z.channels, [&](std::int64_t c, auto part) {
    Vec sum[block] = {};
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t s = 0; s < columns; ++s) {
        const Vec tap = load(taps + r * z.tap_row + s * z.tap_column + c, part);
        const T* p = in + r * z.in_row + s * z.in_column + c;
        for (int b = 0; b < block; ++b) sum[b] = fma(load(p + b * z.in_step, part), tap, sum[b]);
      }
    for (int b = 0; b < block; ++b) store(out + b * z.out_step + c, sum[b], part);
  });
}

// `fixed`: the size of a square window, whose loops over taps are unrolled; 0: any window.
template <int fixed, class T>
void gather_all(const Window& z, const T* in, const float* taps, T* out) {
  std::int64_t o = 0;
  for (; o + 4 <= z.count; o += 4) gather_block<4, fixed>(z, in + o * z.in_step, taps, out + o * z.out_step);
  for (; o < z.count; ++o) gather_block<1, fixed>(z, in + o * z.in_step, taps, out + o * z.out_step);
}

// Computes `block` outputs whose windows overlap: a step to the next output is a step to
// the next column, so each input is loaded once for all of them. Backward (a gradient) the
// steps go from the last output to the first. cut_first, cut_last: the first output's first
// column, or the last one's last, is outside the image; `in` is the first column inside.
template <int block, int rows, int columns, bool cut_first = false, bool cut_last = false, class T>
REPRISE_INLINE void gather_sliding(const Window& z, const T* in, const float* taps, T* out, const T* next,
                                   std::int64_t step, std::int64_t out_step) {
  const T* ahead = z.in_row > 0 ? in + rows * z.in_row : in - z.in_row;
  for_vectors(z.channels, [&](std::int64_t c, auto part) {
    // Prefetches, once per cache line, the input row that only the next row of outputs
    // needs. The hardware does not foresee this pattern.
    if (c * sizeof(T) % 64 == 0) {
      const T *fetched = ahead + c, *touched = next + c;
      for (int b = 0; b < block; ++b) {
        __builtin_prefetch(fetched, 0, 2);
        __builtin_prefetch(touched, 0, 2);
        advance(fetched, step);
        advance(touched, out_step);
      }
    }
    Vec sum[block] = {};
    for (int r = 0; r < rows; ++r) {
      Vec tap[columns];
      for (int s = 0; s < columns; ++s) tap[s] = load(taps + r * z.tap_row + s * z.tap_column + c, part);
      const T* p = in + r * z.in_row + c;
      for (int k = cut_first; k < block + columns - 1 - cut_last; ++k) {
        const Vec v = load(p, part);
        advance(p, step);
        for (int s = 0; s < columns; ++s)
          if (k - s >= 0 && k - s < block) sum[k - s] = fma(v, tap[s], sum[k - s]);
      }
    }
    T* to = out + c;
    for (int b = 0; b < block; ++b) {
      store(to, sum[b], part);
      advance(to, out_step);
    }
  });
}

// Calls f.operator()<block>(first output) for blocks that cover `count` outputs.
template <class F>
REPRISE_INLINE void in_blocks(std::int64_t count, F f) {
  std::int64_t o = 0;
  for (; o + 8 <= count; o += 8) f.template operator()<8>(o);
  for (; o + 4 <= count; o += 4) f.template operator()<4>(o);
  for (; o + 2 <= count; o += 2) f.template operator()<2>(o);
  for (; o < count; ++o) f.template operator()<1>(o);
}

template <int rows, int columns, class T>
void gather_run(const Window& z, const T* in, const float* taps, T* out, const T* next) {
  if (z.count > 1 && z.in_step == -z.in_column) {
    in += (z.count - 1) * z.in_step;
    out += (z.count - 1) * z.out_step;
    next += (z.count - 1) * z.out_step;
    in_blocks(z.count, [&]<int block>(std::int64_t o) {
      gather_sliding<block, rows, columns>(z, in - o * z.in_step, taps, out - o * z.out_step,
                                           next - o * z.out_step, z.in_column, -z.out_step);
    });
    return;
  }
  in_blocks(z.count, [&]<int block>(std::int64_t o) {
    gather_sliding<block, rows, columns>(z, in + o * z.in_step, taps, out + o * z.out_step,
                                         next + o * z.out_step, z.in_column, z.out_step);
  });
}

bool slides(const Window& z) {
  return z.columns == 2 || z.columns == 3
             ? z.count == 1 || z.in_step == z.in_column || z.in_step == -z.in_column
             : false;
}

// Calls f.operator()<rows, columns>() if both are 2 or 3; else returns false.
template <class F>
REPRISE_INLINE bool with_taps(const Window& z, F f) {
  if (z.rows == 3 && z.columns == 3) return f.template operator()<3, 3>(), true;
  if (z.rows == 3 && z.columns == 2) return f.template operator()<3, 2>(), true;
  if (z.rows == 2 && z.columns == 3) return f.template operator()<2, 3>(), true;
  if (z.rows == 2 && z.columns == 2) return f.template operator()<2, 2>(), true;
  return false;
}

// Each output sums its taps in the same order, whatever its block.
template <class T>
void gather(const Window& z, const T* in, const float* taps, T* out, const T* next) {
  if (slides(z) &&
      with_taps(z, [&]<int rows, int columns>() { gather_run<rows, columns>(z, in, taps, out, next); }))
    return;
  if (z.rows == 1 && z.columns == 1) return gather_all<1>(z, in, taps, out);
  gather_all<0>(z, in, taps, out);
}

// Computes a whole row in blocks; the last block may overlap the one before it.
template <int block, int rows, class T>
REPRISE_INLINE void gather_bordered(const Window& z, const T* in, const float* taps, T* out, const T* next) {
  const bool back = z.in_column < 0;
  const std::int64_t step = z.in_column, out_step = back ? -z.out_step : z.out_step, last = z.count - block;
  if (back) {
    in += (z.count - 1) * z.in_step;
    out += (z.count - 1) * z.out_step;
    next += (z.count - 1) * z.out_step;
  }
  const auto make = [&]<bool cut_first, bool cut_last>(std::int64_t o) {
    gather_sliding<block, rows, 3, cut_first, cut_last>(
        z, in + (o - !cut_first) * step, taps, out + o * out_step, next + o * out_step, step, out_step);
  };
  if (last == 0) return make.template operator()<true, true>(0);
  make.template operator()<true, false>(0);
  for (std::int64_t o = block; o < last; o += block) make.template operator()<false, false>(o);
  make.template operator()<false, true>(last);
}

// The widths of usual networks are multiples of 8 or of 7.
template <int rows, class T>
void gather_row_of(const Window& z, const T* in, const float* taps, T* out, const T* next) {
  if (z.count < 7) return gather_bordered<3, rows>(z, in, taps, out, next);
  if (z.count % 8 != 0 && (z.count % 7 == 0 || z.count < 8))
    return gather_bordered<7, rows>(z, in, taps, out, next);
  gather_bordered<8, rows>(z, in, taps, out, next);
}
template <class T>
void gather_row(const Window& z, const T* in, const float* taps, T* out, const T* next) {
  if (z.rows == 3) return gather_row_of<3>(z, in, taps, out, next);
  gather_row_of<2>(z, in, taps, out, next);
}

template <int block, int fixed, class T>
REPRISE_INLINE void correlate_block(const Window& z, const T* in, const T* out, float* taps) {
  const std::int64_t rows = fixed ? fixed : z.rows, columns = fixed ? fixed : z.columns;
  for_vectors(z.channels, [&](std::int64_t c, auto part) {
    Vec grad[block];
    for (int b = 0; b < block; ++b) grad[b] = load(out + b * z.out_step + c, part);
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t s = 0; s < columns; ++s) {
        float* tap = taps + r * z.tap_row + s * z.tap_column + c;
        const T* p = in + r * z.in_row + s * z.in_column + c;
        Vec sum = load(tap, part);
        for (int b = 0; b < block; ++b) sum = fma(load(p + b * z.in_step, part), grad[b], sum);
        store(tap, sum, part);
      }
  });
}

template <int fixed, class T>
void correlate_all(const Window& z, const T* in, const T* out, float* taps) {
  std::int64_t o = 0;
  const auto blocks = [&]<int block>() {
    for (; o + block <= z.count; o += block)
      correlate_block<block, fixed>(z, in + o * z.in_step, out + o * z.out_step, taps);
  };
  blocks.template operator()<8>();
  blocks.template operator()<4>();
  blocks.template operator()<1>();
}

// Slides along the run, only forward: each input and each gradient is loaded once, all taps stay
// in registers. grad[s] is the gradient of output k - s, which sees column k through tap s.
template <int rows, int columns, class T>
void correlate_sliding(const Window& z, const T* in, const T* out, float* taps) {
  for_vectors(z.channels, [&](std::int64_t c, auto part) {
    Vec sum[rows][columns], grad[columns] = {};
    for (int r = 0; r < rows; ++r)
      for (int s = 0; s < columns; ++s) sum[r][s] = load(taps + r * z.tap_row + s * z.tap_column + c, part);
    const auto column = [&](std::int64_t k, auto all) {
      for (int s = columns - 1; s > 0; --s) grad[s] = grad[s - 1];
      if (k < z.count) grad[0] = load(out + k * z.out_step + c, part);
      for (int r = 0; r < rows; ++r) {
        const Vec v = load(in + r * z.in_row + k * z.in_column + c, part);
        for (int s = 0; s < columns; ++s)
          if (all.value || (k >= s && k - s < z.count)) sum[r][s] = fma(v, grad[s], sum[r][s]);
      }
    };
    std::int64_t k = 0;
    for (; k < columns - 1; ++k) column(k, Flag<false>{});
    for (; k < z.count; ++k) column(k, Flag<true>{});
    for (; k < z.count + columns - 1; ++k) column(k, Flag<false>{});
    for (int r = 0; r < rows; ++r)
      for (int s = 0; s < columns; ++s) store(taps + r * z.tap_row + s * z.tap_column + c, sum[r][s], part);
  });
}

template <class T>
void correlate(const Window& z, const T* in, const T* out, float* taps) {
  if (slides(z) && (z.count == 1 || z.in_step == z.in_column) &&
      with_taps(z, [&]<int rows, int columns>() { correlate_sliding<rows, columns>(z, in, out, taps); }))
    return;
  if (z.rows == 1 && z.columns == 1) return correlate_all<1>(z, in, out, taps);
  correlate_all<0>(z, in, out, taps);
}

// The same along a whole row. A column meets three outputs, the first and the last column two.
template <int rows, class T>
void correlate_bordered(const Window& z, const T* in, const T* out, float* taps) {
  for_vectors(z.channels, [&](std::int64_t c, auto part) {
    Vec sum[rows][3], grad[3];
    for (int r = 0; r < rows; ++r)
      for (int s = 0; s < 3; ++s) sum[r][s] = load(taps + r * z.tap_row + s * z.tap_column + c, part);
    const T *x = in + c, *g = out + c;
    const auto column = [&](auto first, auto last) {
      grad[2] = grad[1], grad[1] = grad[0];
      if constexpr (!last.value) grad[0] = load(g, part);
      g += z.out_step;
      for (int r = 0; r < rows; ++r) {
        const Vec v = load(x + r * z.in_row, part);
        for (int s = last.value; s < 3 - first.value; ++s) sum[r][s] = fma(v, grad[s], sum[r][s]);
      }
      x += z.in_column;
    };
    grad[0] = load(g, part), grad[1] = Vec{};
    g += z.out_step;
    column(Flag<true>{}, Flag<false>{});
    for (std::int64_t k = 2; k < z.count; ++k) column(Flag<false>{}, Flag<false>{});
    column(Flag<false>{}, Flag<true>{});
    for (int r = 0; r < rows; ++r)
      for (int s = 0; s < 3; ++s) store(taps + r * z.tap_row + s * z.tap_column + c, sum[r][s], part);
  });
}

template <class T>
void correlate_row(const Window& z, const T* in, const T* out, float* taps) {
  if (z.rows == 3) return correlate_bordered<3>(z, in, out, taps);
  correlate_bordered<2>(z, in, out, taps);
}

}  // namespace

REPRISE_LEAF_TABLES(DepthwiseLeaf, depthwise_leaf, gather, gather_row, correlate, correlate_row);

}  // namespace reprise::kernels::cpu::REPRISE_ISA
