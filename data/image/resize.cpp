// out(i) = clip(round(sum over x of w(i, x) * in(x))), w a triangle of support max(1, in / out) around
// (i + 0.5) * in / out, its weights normalised in double and rounded to fixed point of 22 bits.
#include "data/image/resize.h"

#include <algorithm>
#include <cmath>

#include "engine/core/check.h"

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

Image resize_rows(const Image& in, int width) {
  const Filter f = make_filter(in.width, width);
  Image out{width, in.height, std::vector<std::uint8_t>(std::size_t{3} * width * in.height)};
  // Four rows at a time, so that every weight is loaded once for twelve sums.
  constexpr std::size_t group = 4;
  const std::size_t in_row = std::size_t{3} * in.width, out_row = std::size_t{3} * width;
  for (std::size_t y0 = 0, rows = static_cast<std::size_t>(in.height); y0 < rows; y0 += group) {
    const std::uint8_t* source[group];
    for (std::size_t r = 0; r < group; ++r) source[r] = in.rgb.data() + in_row * std::min(y0 + r, rows - 1);
    for (std::size_t i = 0; i < static_cast<std::size_t>(width); ++i) {
      const std::int32_t* w = &f.weights[f.taps * i];
      std::int32_t sum[group][3];
      for (auto& row : sum) row[0] = row[1] = row[2] = half;
      const std::size_t at = 3 * f.first[i];
      for (std::size_t x = 0; x < f.count[i]; ++x)
        for (std::size_t r = 0; r < group; ++r)
          for (std::size_t c = 0; c < 3; ++c) sum[r][c] += w[x] * source[r][at + 3 * x + c];
      for (std::size_t r = 0; r < std::min(group, rows - y0); ++r)
        for (std::size_t c = 0; c < 3; ++c) out.rgb[out_row * (y0 + r) + 3 * i + c] = to_pixel(sum[r][c]);
    }
  }
  return out;
}

Image resize_columns(const Image& in, int height) {
  const Filter f = make_filter(in.height, height);
  Image out{in.width, height, std::vector<std::uint8_t>(std::size_t{3} * in.width * height)};
  const std::size_t row = std::size_t{3} * in.width;
  std::vector<std::int32_t> sums(row);
  for (std::size_t i = 0; i < static_cast<std::size_t>(height); ++i) {
    std::fill(sums.begin(), sums.end(), half);
    for (std::size_t y = 0; y < f.count[i]; ++y) {
      const std::int32_t w = f.weights[f.taps * i + y];
      const std::uint8_t* source = in.rgb.data() + row * (f.first[i] + y);
      std::int32_t* sum = sums.data();
      for (std::size_t x = 0; x < row; ++x) sum[x] += w * source[x];
    }
    std::transform(sums.begin(), sums.end(), out.rgb.begin() + static_cast<std::ptrdiff_t>(row * i),
                   to_pixel);
  }
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
