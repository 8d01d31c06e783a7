#include "engine/kernels/cpu/leaf/conv_block.h"

#include "engine/kernels/cpu/leaf/vec.h"

namespace reprise::kernels::cpu::REPRISE_ISA {
namespace {

template <class F>
REPRISE_INLINE void with_flag(bool on, F f) {
  if (on)
    f(Flag<true>{});
  else
    f(Flag<false>{});
}

template <class F>
REPRISE_INLINE void with_activation(Activation a, F f) {
  switch (a) {
    case Activation::none:
      return f(std::integral_constant<Activation, Activation::none>{});
    case Activation::relu:
      return f(std::integral_constant<Activation, Activation::relu>{});
    case Activation::relu6:
      return f(std::integral_constant<Activation, Activation::relu6>{});
  }
}

REPRISE_INLINE std::int64_t bytes_of(std::int64_t channels) {
  return (channels + 7) / 8;
}

// Returns bits: bit i says whether lane i is above 0.
REPRISE_INLINE unsigned positive_bits(Vec v) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask((__m512)v, _mm512_setzero_ps(), _CMP_GT_OQ);
#elif defined(__AVX2__)
  return static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps((__m256)v, _mm256_setzero_ps(), _CMP_GT_OQ)));
#else
  unsigned bits = 0;
  for (int i = 0; i < lanes; ++i) bits |= v[i] > 0 ? 1u << i : 0u;
  return bits;
#endif
}
// Returns the lanes of v whose bit is set; the others are 0.
REPRISE_INLINE Vec where(unsigned bits, Vec v) {
#if defined(__AVX512F__)
  return (Vec)_mm512_maskz_mov_ps(static_cast<__mmask16>(bits), (__m512)v);
#else
  VecInt lane{};
  for (int i = 0; i < lanes; ++i) lane[i] = 1 << i;
  return select((lane & static_cast<std::int32_t>(bits)) != 0, v, Vec{});
#endif
}

// Store and load the bits of a vector from channel c on, of a pixel whose bits begin at
// `pixel`. With four lanes two vectors share a byte; the first of them clears it.
REPRISE_INLINE void store_bits(std::uint8_t* pixel, std::int64_t c, unsigned bits, std::int64_t count) {
  std::uint8_t* p = pixel + c / 8;
  if constexpr (lanes < 8) {
    *p = static_cast<std::uint8_t>(c % 8 == 0 ? bits : *p | bits << 4);
  } else {
    *p = static_cast<std::uint8_t>(bits);
    if (count > 8) p[1] = static_cast<std::uint8_t>(bits >> 8);
  }
}
REPRISE_INLINE unsigned load_bits(const std::uint8_t* pixel, std::int64_t c, std::int64_t count) {
  const std::uint8_t* p = pixel + c / 8;
  if constexpr (lanes < 8) return static_cast<unsigned>(*p) >> c % 8 & 15u;
  return count > 8 ? p[0] | static_cast<unsigned>(p[1]) << 8 : p[0];
}
REPRISE_INLINE std::int64_t count_of(All) {
  return lanes;
}
REPRISE_INLINE std::int64_t count_of(First part) {
  return part.n;
}

template <bool bypass, class T>
REPRISE_INLINE void prefetch_cached(const T* p) {
  if constexpr (!bypass) prefetch_output(p);
}

template <class T>
void finish(const T* b, std::int64_t b_stride, const float* mean, const float* scale, const float* shift,
            const T* residual, Activation activation, T* y, std::uint8_t* open, bool non_temporal,
            std::int64_t rows, std::int64_t stride, std::int64_t channels) {
  with_flag(residual != nullptr, [&](auto add) {
    with_activation(activation, [&](auto activate) {
      with_flag(open != nullptr, [&](auto keep) {
        with_flag(non_temporal, [&](auto bypass) {
          for (std::int64_t r = 0; r < rows; ++r)
            for_vectors(channels, [&](std::int64_t c, auto part) {
              const std::int64_t i = r * stride + c;
              Vec v = normalized(load(b + r * b_stride + c, part), mean, scale, shift, c, part);
              if constexpr (add.value) v = as_stored<T>(v) + load(residual + i, part);
              Vec passes = v;
              if constexpr (activate.value == Activation::relu6) {
                const Vec six = broadcast(6.0F);
                passes = select(as_stored<T>(v) < six, v, Vec{});
                v = select(v > six, six, v);
              }
              if constexpr (keep.value)
                store_bits(open + r * bytes_of(channels), c, positive_bits(passes), count_of(part));
              if constexpr (activate.value != Activation::none) v = select(v < Vec{}, Vec{}, v);
              store_maybe_non_temporal<bypass.value>(y + i, v, part);
            });
        });
      });
    });
  });
}

template <class T>
void add(const T* b, std::int64_t b_stride, T* y, std::int64_t rows, std::int64_t stride,
         std::int64_t channels) {
  for (std::int64_t r = 0; r < rows; ++r)
    for_vectors(channels, [&](std::int64_t c, auto part) {
      T* at = y + r * stride + c;
      store(at, load(at, part) + load(b + r * b_stride + c, part), part);
    });
}

// Returns dy; after an activation, 0 where it was not open.
template <bool relu, class T, class Part>
REPRISE_INLINE Vec gradient(const T* dy, const std::uint8_t* open, std::int64_t row, std::int64_t channels,
                            std::int64_t c, Part part) {
  const Vec g = load(dy + row * channels + c, part);
  if constexpr (!relu) return g;
  return where(load_bits(open + row * bytes_of(channels), c, count_of(part)), g);
}

// Takes rows four at a time, as in batch_norm.cpp, so that the sums have the same bits.
template <int block, bool relu, class T>
REPRISE_INLINE void grad_sums_block(const T* b, const T* dy, const std::uint8_t* open, const float* mean,
                                    float* sum, float* products, std::int64_t row, std::int64_t channels) {
  for_vectors(channels, [&](std::int64_t c, auto part) {
    const Vec middle = load(mean + c, part);
    prefetch_rows<block>(b + row * channels, c);
    prefetch_rows<block>(dy + row * channels, c);
    Vec s{}, p{};
    for (std::int64_t r = row; r < row + block; ++r) {
      const Vec g = gradient<relu>(dy, open, r, channels, c, part);
      s += g;
      p = fma(g, load(b + r * channels + c, part) - middle, p);
    }
    store(sum + c, load(sum + c, part) + s, part);
    store(products + c, load(products + c, part) + p, part);
  });
}

template <class T>
void grad_sums(const T* b, const T* dy, const std::uint8_t* open, const float* mean, float* sum,
               float* products, std::int64_t rows, std::int64_t channels) {
  with_flag(open != nullptr, [&](auto relu) {
    std::int64_t r = 0;
    for (; r + 4 <= rows; r += 4)
      grad_sums_block<4, relu.value>(b, dy, open, mean, sum, products, r, channels);
    for (; r < rows; ++r) grad_sums_block<1, relu.value>(b, dy, open, mean, sum, products, r, channels);
  });
}

// Returns the gradient of b's vector at channel c; g is the gradient of batch norm's output.
template <class T, class Part>
REPRISE_INLINE Vec norm_gradient(const T* b, Vec g, const float* mean, const float* grad_mean,
                                 const float* slope, const float* scale, std::int64_t c, Part part) {
  const Vec d = load(b, part) - load(mean + c, part);
  return ((g - load(grad_mean + c, part)) - d * load(slope + c, part)) * load(scale + c, part);
}

template <class T>
void grad_input(const T* b, const T* dy, const std::uint8_t* open, const float* mean, const float* grad_mean,
                const float* slope, const float* scale, T* db, bool non_temporal, std::int64_t rows,
                std::int64_t channels) {
  with_flag(open != nullptr, [&](auto relu) {
    with_flag(non_temporal, [&](auto bypass) {
      for (std::int64_t r = 0; r < rows; ++r)
        for_vectors(channels, [&](std::int64_t c, auto part) {
          const std::int64_t i = r * channels + c;
          prefetch_cached<bypass.value>(db + i);
          const Vec g = gradient<relu.value>(dy, open, r, channels, c, part);
          store_maybe_non_temporal<bypass.value>(
              db + i, norm_gradient(b + i, g, mean, grad_mean, slope, scale, c, part), part);
        });
    });
  });
}

template <class T>
void grad_input_and_masked(const T* b, const T* dy, const std::uint8_t* open, const float* mean,
                           const float* grad_mean, const float* slope, const float* scale, T* db, T* out,
                           bool non_temporal, std::int64_t rows, std::int64_t channels) {
  with_flag(open != nullptr, [&](auto relu) {
    with_flag(non_temporal, [&](auto bypass) {
      for (std::int64_t r = 0; r < rows; ++r)
        for_vectors(channels, [&](std::int64_t c, auto part) {
          const std::int64_t i = r * channels + c;
          prefetch_cached<bypass.value>(out + i);
          const Vec g = gradient<relu.value>(dy, open, r, channels, c, part);
          store_maybe_non_temporal<bypass.value>(out + i, g, part);
          store(db + i, norm_gradient(b + i, g, mean, grad_mean, slope, scale, c, part), part);
        });
    });
  });
}

template <class T>
void masked(const T* dy, const std::uint8_t* open, const float* scale, T* out, bool non_temporal,
            std::int64_t rows, std::int64_t channels) {
  with_flag(open != nullptr, [&](auto relu) {
    with_flag(scale != nullptr, [&](auto scaled) {
      with_flag(non_temporal, [&](auto bypass) {
        for (std::int64_t r = 0; r < rows; ++r)
          for_vectors(channels, [&](std::int64_t c, auto part) {
            prefetch_cached<bypass.value>(out + r * channels + c);
            Vec g = gradient<relu.value>(dy, open, r, channels, c, part);
            if constexpr (scaled.value) g = g * load(scale + c, part);
            store_maybe_non_temporal<bypass.value>(out + r * channels + c, g, part);
          });
      });
    });
  });
}

}  // namespace

REPRISE_LEAF_TABLES(ConvBlockLeaf, conv_block_leaf, finish, add, grad_sums, grad_input, grad_input_and_masked,
                    masked);

}  // namespace reprise::kernels::cpu::REPRISE_ISA
