#include "engine/kernels/cpu/leaf/depthwise.h"

#include "engine/kernels/cpu/leaf/vec.h"

namespace reprise::kernels::cpu::REPRISE_ISA {
namespace {

// `block` neighbouring outputs share each load of a tap; channels run innermost, so memory is read in order.
template <int block, int fixed>
REPRISE_INLINE void gather_block(const Window& z, const float* in, const float* taps, float* out) {
  const std::int64_t rows = fixed ? fixed : z.rows, columns = fixed ? fixed : z.columns;
  for_vectors(z.channels, [&](std::int64_t c, auto part) {
    Vec sum[block] = {};
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t s = 0; s < columns; ++s) {
        const Vec tap = load(taps + r * z.tap_row + s * z.tap_column + c, part);
        const float* p = in + r * z.in_row + s * z.in_column + c;
        for (int b = 0; b < block; ++b) sum[b] = fma(load(p + b * z.in_step, part), tap, sum[b]);
      }
    for (int b = 0; b < block; ++b) store(out + b * z.out_step + c, sum[b], part);
  });
}

// fixed: a square window of known size (0: any), whose loops over taps are unrolled.
template <int fixed>
void gather_all(const Window& z, const float* in, const float* taps, float* out) {
  std::int64_t o = 0;
  for (; o + 4 <= z.count; o += 4) gather_block<4, fixed>(z, in + o * z.in_step, taps, out + o * z.out_step);
  for (; o < z.count; ++o) gather_block<1, fixed>(z, in + o * z.in_step, taps, out + o * z.out_step);
}

// Every output sums its taps in the same order, in whatever block it lies.
void gather(const Window& z, const float* in, const float* taps, float* out) {
  if (z.rows == 3 && z.columns == 3) return gather_all<3>(z, in, taps, out);
  if (z.rows == 1 && z.columns == 1) return gather_all<1>(z, in, taps, out);
  gather_all<0>(z, in, taps, out);
}

template <int block, int fixed>
REPRISE_INLINE void correlate_block(const Window& z, const float* in, const float* out, float* taps) {
  const std::int64_t rows = fixed ? fixed : z.rows, columns = fixed ? fixed : z.columns;
  for_vectors(z.channels, [&](std::int64_t c, auto part) {
    Vec grad[block];
    for (int b = 0; b < block; ++b) grad[b] = load(out + b * z.out_step + c, part);
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t s = 0; s < columns; ++s) {
        float* tap = taps + r * z.tap_row + s * z.tap_column + c;
        const float* p = in + r * z.in_row + s * z.in_column + c;
        Vec sum = load(tap, part);
        for (int b = 0; b < block; ++b) sum = fma(load(p + b * z.in_step, part), grad[b], sum);
        store(tap, sum, part);
      }
  });
}

template <int fixed>
void correlate_all(const Window& z, const float* in, const float* out, float* taps) {
  std::int64_t o = 0;
  const auto blocks = [&]<int block>() {
    for (; o + block <= z.count; o += block)
      correlate_block<block, fixed>(z, in + o * z.in_step, out + o * z.out_step, taps);
  };
  blocks.template operator()<8>();
  blocks.template operator()<4>();
  blocks.template operator()<1>();
}

void correlate(const Window& z, const float* in, const float* out, float* taps) {
  if (z.rows == 3 && z.columns == 3) return correlate_all<3>(z, in, out, taps);
  if (z.rows == 1 && z.columns == 1) return correlate_all<1>(z, in, out, taps);
  correlate_all<0>(z, in, out, taps);
}

}  // namespace

extern const DepthwiseLeaf depthwise_leaf;
const DepthwiseLeaf depthwise_leaf{gather, correlate};

}  // namespace reprise::kernels::cpu::REPRISE_ISA
