// Versions of a 3x3 convolution (versions.h):
// y(h,w,o) = sum over r, s, c of x(h+r,w+s,c) * w(o,r,s,c)
#include "apps/bench/lab/versions.h"
#include "engine/kernels/cpu/leaf/vec.h"

namespace reprise::kernels::cpu::REPRISE_ISA {
namespace {

using lab::ConvCase;

// The formula as it stands. Each addition waits for the one
// before, and no compiler may reorder them.
void plain(const ConvCase& k, const float* x, const float* w, float* y) {
  const std::int64_t row = (k.w + 2) * k.c;
  for (std::int64_t i = 0; i < k.h; ++i)
    for (std::int64_t j = 0; j < k.w; ++j)
      for (std::int64_t o = 0; o < k.o; ++o) {
        float sum = 0;
        for (std::int64_t r = 0; r < 3; ++r)
          for (std::int64_t s = 0; s < 3; ++s)
            for (std::int64_t c = 0; c < k.c; ++c)
              sum += x[(i + r) * row + (j + s) * k.c + c] * w[((o * 3 + r) * 3 + s) * k.c + c];
        y[(i * k.w + j) * k.o + o] = sum;
      }
}

// Loops over output channels innermost. Their sums are independent, so a vector
// computes as many at once as it has lanes. But every multiply-add loads a
// weight, loads a sum and stores it: three memory accesses for one operation.
void channels(const ConvCase& k, const float* x, const float* w, float* y) {
  const std::int64_t row = (k.w + 2) * k.c;
  for (std::int64_t i = 0; i < k.h; ++i)
    for (std::int64_t j = 0; j < k.w; ++j) {
      float* out = y + (i * k.w + j) * k.o;
      for (std::int64_t o = 0; o < k.o; o += lanes) store(out + o, Vec{});
      for (std::int64_t r = 0; r < 3; ++r)
        for (std::int64_t s = 0; s < 3; ++s)
          for (std::int64_t c = 0; c < k.c; ++c) {
            const Vec a = broadcast(x[(i + r) * row + (j + s) * k.c + c]);
            const float* b = w + ((r * 3 + s) * k.c + c) * k.o;
            for (std::int64_t o = 0; o < k.o; o += lanes) store(out + o, fma(a, load(b + o), load(out + o)));
          }
    }
}

// Keeps the sums of a tile, several pixels times two vectors of
// channels, in registers. A loaded weight serves every pixel of the
// tile, a loaded pixel serves both vectors, and each sum is stored once.
void tile(const ConvCase& k, const float* x, const float* w, float* y) {
  constexpr int pixels = lanes == 16 ? 14 : 4;  // as many as the registers hold
  const std::int64_t row = (k.w + 2) * k.c;
  for (std::int64_t o = 0; o < k.o; o += 2 * lanes)
    for (std::int64_t i = 0; i < k.h; ++i)
      for (std::int64_t j = 0; j < k.w; j += pixels) {
        Vec sums[pixels][2] = {};
        for (std::int64_t r = 0; r < 3; ++r)
          for (std::int64_t s = 0; s < 3; ++s) {
            const float* a = x + (i + r) * row + (j + s) * k.c;
            const float* b = w + (r * 3 + s) * k.c * k.o + o;
            for (std::int64_t c = 0; c < k.c; ++c) {
              const Vec b0 = load(b + c * k.o), b1 = load(b + c * k.o + lanes);
#pragma GCC unroll 14
              for (int p = 0; p < pixels; ++p) {
                const Vec v = broadcast(a[p * k.c + c]);
                sums[p][0] = fma(v, b0, sums[p][0]);
                sums[p][1] = fma(v, b1, sums[p][1]);
              }
            }
          }
#pragma GCC unroll 14
        for (int p = 0; p < pixels; ++p) {
          float* out = y + (i * k.w + j + p) * k.o + o;
          store(out, sums[p][0]);
          store(out + lanes, sums[p][1]);
        }
      }
}

}  // namespace

extern const ConvVersions conv_versions;
const ConvVersions conv_versions{plain, channels, tile};

}  // namespace reprise::kernels::cpu::REPRISE_ISA
