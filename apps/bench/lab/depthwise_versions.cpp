// Versions of a depthwise 3x3 convolution (versions.h):
// y(h,w,c) = sum over r, s of x(h+r,w+s,c) * w(r,s,c)
#include "apps/bench/lab/versions.h"
#include "engine/kernels/cpu/leaf/vec.h"

namespace reprise::kernels::cpu::REPRISE_ISA {
namespace {

using lab::DepthwiseCase;

// Computes channel by channel, as the formula is written for (C,H,W). In (H,W,C) the values of
// a channel are C numbers apart: each load brings a cache line of which one number is used.
void plain(const DepthwiseCase& k, const float* x, const float* w, float* y) {
  const std::int64_t row = (k.w + 2) * k.c;
  for (std::int64_t c = 0; c < k.c; ++c)
    for (std::int64_t i = 0; i < k.h; ++i)
      for (std::int64_t j = 0; j < k.w; ++j) {
        float sum = 0;
        for (std::int64_t r = 0; r < 3; ++r)
          for (std::int64_t s = 0; s < 3; ++s)
            sum += x[(i + r) * row + (j + s) * k.c + c] * w[(r * 3 + s) * k.c + c];
        y[(i * k.w + j) * k.c + c] = sum;
      }
}

// Loops over channels innermost: they are neighbours in memory, one vector
// at a time. Loads nine inputs and nine weights for nine multiply-adds.
void channels(const DepthwiseCase& k, const float* x, const float* w, float* y) {
  const std::int64_t row = (k.w + 2) * k.c;
  for (std::int64_t i = 0; i < k.h; ++i)
    for (std::int64_t j = 0; j < k.w; ++j)
      for (std::int64_t c = 0; c < k.c; c += lanes) {
        Vec sum{};
        for (std::int64_t r = 0; r < 3; ++r)
          for (std::int64_t s = 0; s < 3; ++s)
            sum = fma(load(x + (i + r) * row + (j + s) * k.c + c), load(w + (r * 3 + s) * k.c + c), sum);
        store(y + (i * k.w + j) * k.c + c, sum);
      }
}

// Keeps fourteen neighbouring sums in registers. Their windows overlap, so sixteen
// inputs and three weights of a row serve 42 multiply-adds. `prefetched`: also
// prefetches the last input row and the output pixels of the next row of outputs.
// The hardware prefetches along one line, not these short runs in three rows.
template <bool prefetched>
void blocks(const DepthwiseCase& k, const float* x, const float* w, float* y) {
  constexpr int pixels = 14;
  const std::int64_t row = (k.w + 2) * k.c, out_row = k.w * k.c;
  for (std::int64_t i = 0; i < k.h; ++i)
    for (std::int64_t j = 0; j < k.w; j += pixels)
      for (std::int64_t c = 0; c < k.c; c += lanes) {
        const float* in = x + i * row + j * k.c + c;
        float* out = y + i * out_row + j * k.c + c;
        if (prefetched && i + 1 < k.h)
          for (int p = 0; p < pixels; ++p) {
            __builtin_prefetch(in + 3 * row + p * k.c, 0, 2);
            __builtin_prefetch(out + out_row + p * k.c, 0, 2);
          }
        Vec sums[pixels] = {};
        for (int r = 0; r < 3; ++r) {
          Vec taps[3];
#pragma GCC unroll 3
          for (int s = 0; s < 3; ++s) taps[s] = load(w + (r * 3 + s) * k.c + c);
#pragma GCC unroll 16
          for (int q = 0; q < pixels + 2; ++q) {
            const Vec v = load(in + r * row + q * k.c);
#pragma GCC unroll 3
            for (int s = 0; s < 3; ++s)
              if (q - s >= 0 && q - s < pixels) sums[q - s] = fma(v, taps[s], sums[q - s]);
          }
        }
#pragma GCC unroll 14
        for (int p = 0; p < pixels; ++p) store(out + p * k.c, sums[p]);
      }
}

}  // namespace

extern const DepthwiseVersions depthwise_versions;
const DepthwiseVersions depthwise_versions{plain, channels, blocks<false>, blocks<true>};

}  // namespace reprise::kernels::cpu::REPRISE_ISA
