#include "engine/kernels/cpu/leaf/batch_norm.h"

#include "engine/kernels/cpu/leaf/vec.h"

namespace reprise::kernels::cpu::REPRISE_ISA {
namespace {

// Four rows are added together, then to the running sums, which lie in the output.
constexpr int block = 4;

template <int n, class T>
REPRISE_INLINE void moments_block(const T* x, const float* center, float* sum, float* squares,
                                  std::int64_t channels) {
  for_vectors(channels, [&](std::int64_t c, auto part) {
    const Vec middle = load(center + c, part);
    prefetch_rows<n>(x, c);
    Vec s{}, q{};
    for (int r = 0; r < n; ++r) {
      const Vec d = load(x + r * channels + c, part) - middle;
      s += d;
      q = fma(d, d, q);
    }
    store(sum + c, load(sum + c, part) + s, part);
    store(squares + c, load(squares + c, part) + q, part);
  });
}

template <class T>
void moments(const T* x, const float* center, float* sum, float* squares, std::int64_t rows,
             std::int64_t channels) {
  for (std::int64_t c = 0; c < channels; ++c) sum[c] = squares[c] = 0;
  std::int64_t r = 0;
  for (; r + block <= rows; r += block)
    moments_block<block>(x + r * channels, center, sum, squares, channels);
  for (; r < rows; ++r) moments_block<1>(x + r * channels, center, sum, squares, channels);
}

template <class T>
void normalize(const T* x, const float* mean, const float* scale, const float* shift, T* y, std::int64_t rows,
               std::int64_t channels) {
  for (std::int64_t r = 0; r < rows; ++r)
    for_vectors(channels, [&](std::int64_t c, auto part) {
      const Vec v = load(x + r * channels + c, part);
      store(y + r * channels + c, normalized(v, mean, scale, shift, c, part), part);
    });
}

template <int n, class T>
REPRISE_INLINE void grad_sums_block(const T* x, const T* dy, const float* mean, float* sum, float* products,
                                    std::int64_t channels) {
  for_vectors(channels, [&](std::int64_t c, auto part) {
    const Vec middle = load(mean + c, part);
    prefetch_rows<n>(x, c);
    prefetch_rows<n>(dy, c);
    Vec s{}, p{};
    for (int r = 0; r < n; ++r) {
      const Vec g = load(dy + r * channels + c, part);
      s += g;
      p = fma(g, load(x + r * channels + c, part) - middle, p);
    }
    store(sum + c, load(sum + c, part) + s, part);
    store(products + c, load(products + c, part) + p, part);
  });
}

template <class T>
void grad_sums(const T* x, const T* dy, const float* mean, float* sum, float* products, std::int64_t rows,
               std::int64_t channels) {
  for (std::int64_t c = 0; c < channels; ++c) sum[c] = products[c] = 0;
  std::int64_t r = 0;
  for (; r + block <= rows; r += block)
    grad_sums_block<block>(x + r * channels, dy + r * channels, mean, sum, products, channels);
  for (; r < rows; ++r)
    grad_sums_block<1>(x + r * channels, dy + r * channels, mean, sum, products, channels);
}

template <class T>
void grad_input(const T* x, const T* dy, const float* mean, const float* grad_mean, const float* slope,
                const float* scale, T* dx, std::int64_t rows, std::int64_t channels) {
  for (std::int64_t r = 0; r < rows; ++r)
    for_vectors(channels, [&](std::int64_t c, auto part) {
      const Vec d = load(x + r * channels + c, part) - load(mean + c, part);
      const Vec g = load(dy + r * channels + c, part) - load(grad_mean + c, part);
      store(dx + r * channels + c, (g - d * load(slope + c, part)) * load(scale + c, part), part);
    });
}

}  // namespace

REPRISE_LEAF_TABLES(BatchNormLeaf, batch_norm_leaf, moments, normalize, grad_sums, grad_input);

}  // namespace reprise::kernels::cpu::REPRISE_ISA
