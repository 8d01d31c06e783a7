// out(i) = clip(round(sum over x of w(i, x) * in(x))), w a triangle of support max(1, in / out)
// around (i + 0.5) * in / out, its weights normalised in double and rounded to fixed point of 22
// bits.
#include "data/image/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/base/check.h"

// A function's body, compiled for AVX2 too and chosen at run time: whole numbers, so the pixels are
// the same. (Not target_clones: its resolvers run before a sanitizer is ready.)
#if defined(__x86_64__)
#define REPRISE_ALSO_FOR_AVX2(name, parameters, arguments)        \
  __attribute__((target("avx2"))) void name##_avx2 parameters {   \
    name##_body arguments;                                        \
  }                                                               \
  void name parameters {                                          \
    static const bool avx2 = __builtin_cpu_supports("avx2") != 0; \
    avx2 ? name##_avx2 arguments : name##_body arguments;         \
  }
#else
#define REPRISE_ALSO_FOR_AVX2(name, parameters, arguments) \
  void name parameters {                                   \
    name##_body arguments;                                 \
  }
#endif
#define REPRISE_BODY inline __attribute__((always_inline)) void

namespace reprise::data {
namespace {

constexpr int weight_bits = 22;
constexpr std::int32_t half = 1 << (weight_bits - 1);

// For every output position the first input position and `taps` weights, 0 past the filter's end.
struct Filter {
  std::size_t taps = 0;
  std::vector<std::size_t> first, count;
  std::vector<std::int32_t> weights;  // (out, taps)
};

Filter make_filter(int in, int out) {
  const double scale = static_cast<double>(in) / out;
  const double support = std::max(scale, 1.0);
  Filter f;
  f.taps = static_cast<std::size_t>(std::ceil(support)) * 2 + 1;
  f.weights.assign(f.taps * static_cast<std::size_t>(out), 0);
  std::vector<double> w(f.taps);
  for (int i = 0; i < out; ++i) {
    const double center = (i + 0.5) * scale;
    const int begin = std::max(static_cast<int>(center - support + 0.5), 0);
    const int end = std::min(static_cast<int>(center + support + 0.5), in);
    const auto n = static_cast<std::size_t>(end - begin);
    double sum = 0.0;
    for (std::size_t x = 0; x < n; ++x) {
      const double distance = std::abs((static_cast<double>(x) + begin - center + 0.5) * (1.0 / support));
      w[x] = distance < 1.0 ? 1.0 - distance : 0.0;
      sum += w[x];
    }
    for (std::size_t x = 0; x < n; ++x)
      f.weights[f.taps * i + x] = static_cast<std::int32_t>(0.5 + w[x] / sum * (1 << weight_bits));
    f.first.push_back(static_cast<std::size_t>(begin));
    f.count.push_back(n);
  }
  return f;
}

std::uint8_t to_pixel(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> weight_bits, 0, 255));
}

// One pixel's three channels, and a fourth lane that nobody reads.
using Pixel = std::int32_t __attribute__((vector_size(16)));

constexpr std::size_t group = 4;  // rows at a time: every weight is loaded once for them

// Room for `group` rows as whole numbers before and after, and for the last pixel's fourth lane.
struct Scratch {
  std::vector<std::int32_t> in, out;
};

// source (group, in_row) -> out (group, out_row)
REPRISE_BODY weigh_rows_body(const Filter& f, const std::uint8_t* source, std::size_t in_row,
                             std::size_t out_row, Scratch& scratch, std::uint8_t* out) {
  std::int32_t *wide = scratch.in.data(), *sums = scratch.out.data();
  for (std::size_t k = 0; k < group * in_row; ++k) wide[k] = source[k];
  for (std::size_t i = 0; i < out_row / 3; ++i) {
    const std::int32_t* w = &f.weights[f.taps * i];
    Pixel sum[group];
    for (auto& s : sum) s = Pixel{half, half, half, half};
    for (std::size_t x = 0; x < f.count[i]; ++x)
      for (std::size_t r = 0; r < group; ++r) {
        Pixel pixel;
        std::memcpy(&pixel, wide + r * in_row + 3 * (f.first[i] + x), sizeof pixel);
        sum[r] += w[x] * pixel;
      }
    // A fourth lane is written over by the next pixel, or lies after its row.
    for (std::size_t r = 0; r < group; ++r)
      std::memcpy(sums + r * (out_row + 1) + 3 * i, &sum[r], sizeof sum[r]);
  }
  for (std::size_t r = 0; r < group; ++r)
    for (std::size_t k = 0; k < out_row; ++k) out[r * out_row + k] = to_pixel(sums[r * (out_row + 1) + k]);
}

REPRISE_ALSO_FOR_AVX2(weigh_rows,
                      (const Filter& f, const std::uint8_t* source, std::size_t in_row, std::size_t out_row,
                       Scratch& scratch, std::uint8_t* out),
                      (f, source, in_row, out_row, scratch, out))

Image resize_rows(const Image& in, int width) {
  const Filter f = make_filter(in.width, width);
  const auto rows = static_cast<std::size_t>(in.height);
  const std::size_t in_row = std::size_t{3} * in.width, out_row = std::size_t{3} * width;
  Image out{width, in.height, std::vector<std::uint8_t>(out_row * rows)};
  Scratch scratch{std::vector<std::int32_t>(group * in_row + 1),
                  std::vector<std::int32_t>(group * (out_row + 1))};
  const std::size_t whole = rows / group * group;
  for (std::size_t y = 0; y < whole; y += group)
    weigh_rows(f, in.rgb.data() + in_row * y, in_row, out_row, scratch, out.rgb.data() + out_row * y);
  if (whole < rows) {
    std::vector<std::uint8_t> last_in(group * in_row), last_out(group * out_row);
    std::copy_n(in.rgb.data() + in_row * whole, in_row * (rows - whole), last_in.begin());
    weigh_rows(f, last_in.data(), in_row, out_row, scratch, last_out.data());
    std::copy_n(last_out.begin(), out_row * (rows - whole), out.rgb.data() + out_row * whole);
  }
  return out;
}

// out (n) = the sum of `taps` rows of `source`, `n` bytes apart, weighted.
REPRISE_BODY weigh_columns_body(const std::int32_t* weights, std::size_t taps, const std::uint8_t* source,
                                std::size_t n, std::uint8_t* out) {
  constexpr std::size_t block = 64;  // sums that stay in registers
  for (std::size_t begin = 0; begin < n; begin += block) {
    const std::size_t m = std::min(block, n - begin);
    std::int32_t sums[block];
    std::fill_n(sums, block, half);
    for (std::size_t y = 0; y < taps; ++y) {
      const std::uint8_t* row = source + n * y + begin;
      if (m == block)
        for (std::size_t x = 0; x < block; ++x) sums[x] += weights[y] * row[x];
      else
        for (std::size_t x = 0; x < m; ++x) sums[x] += weights[y] * row[x];
    }
    for (std::size_t x = 0; x < m; ++x) out[begin + x] = to_pixel(sums[x]);
  }
}

REPRISE_ALSO_FOR_AVX2(weigh_columns,
                      (const std::int32_t* weights, std::size_t taps, const std::uint8_t* source,
                       std::size_t n, std::uint8_t* out),
                      (weights, taps, source, n, out))

Image resize_columns(const Image& in, int height) {
  const Filter f = make_filter(in.height, height);
  Image out{in.width, height, std::vector<std::uint8_t>(std::size_t{3} * in.width * height)};
  const std::size_t row = std::size_t{3} * in.width;
  for (std::size_t i = 0; i < static_cast<std::size_t>(height); ++i)
    weigh_columns(&f.weights[f.taps * i], f.count[i], in.rgb.data() + row * f.first[i], row,
                  out.rgb.data() + row * i);
  return out;
}

}  // namespace

Image resize_bilinear(const Image& image, int width, int height) {
  REPRISE_CHECK(width >= 1 && height >= 1, "resize: to {} x {} pixels, expected at least 1 x 1", width,
                height);
  REPRISE_CHECK(image.width >= 1 && image.height >= 1, "resize: the image is empty");
  REPRISE_INVARIANT(image.rgb.size() == std::size_t{3} * image.width * image.height,
                    "{} values for {} x {} pixels", image.rgb.size(), image.width, image.height);
  if (width == image.width && height == image.height) return image;
  if (width == image.width) return resize_columns(image, height);
  Image wide = resize_rows(image, width);
  return height == image.height ? wide : resize_columns(wide, height);
}

}  // namespace reprise::data
