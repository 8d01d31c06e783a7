// Small pictures to learn from: signs made of straight strokes, each drawing a little different.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "engine/autograd/autograd.h"
#include "engine/base/random.h"
#include "engine/ops/ops.h"
#include "layers/layers.h"

namespace tour {

// A sign is a word whose letters are points of a grid; its strokes go from letter to letter:
//   a b c
//   d e f
//   g h i
//   j k l
//   m n o
// "agi co" has the strokes a-g-i and c-o: a 4.
using Signs = std::vector<std::string_view>;
inline const Signs digits = {"acoma",  "dbn",    "acigmo", "acom gi",  "agi co",
                             "cagiom", "camoig", "acn",    "acoma gi", "igacom"};
inline const Signs letters = {"mbo jl", "camo gi", "am co gi", "amo", "maoc", "ac bn", "ao cm", "acmo"};
inline const Signs symbols = {"mbom", "anca", "bgnib", "acmoa", "gi bn", "bn dbf"};

constexpr int side = 16;  // of an image, in pixels

struct Drawings {
  reprise::Tensor images;  // (N,side,side,1) f32
  reprise::Tensor labels;  // (N) i64: which sign
};

struct Style {
  double ink = 1, paper = -1;
  double noise = 0.4;  // the standard deviation of every pixel
};

namespace detail {
struct Point {
  double x, y;
};
inline Point grid_point(char letter) {
  const int place = letter - 'a';
  return {place % 3 - 1.0, place / 3 / 2.0 - 1.0};  // the sign fills [-1,1]^2
}
inline double distance_to_stroke(Point p, Point a, Point b) {
  const double dx = b.x - a.x, dy = b.y - a.y;
  const double t = std::clamp(((p.x - a.x) * dx + (p.y - a.y) * dy) / (dx * dx + dy * dy), 0.0, 1.0);
  return std::hypot(p.x - a.x - t * dx, p.y - a.y - t * dy);
}
}  // namespace detail

// Returns `count` drawings: sign 0, 1, 2, ... and again from 0. Each is turned, slanted, stretched
// and moved at random, with a thin or thick pen and noise on every pixel. Drawing i depends only
// on (seed, purpose, i), so consecutive rows are as good a batch as rows chosen at random.
inline Drawings draw(const Signs& signs, int count, std::uint64_t seed, std::string_view purpose,
                     const Style& style = {}) {
  std::vector<float> pixels;
  std::vector<std::int64_t> labels;
  for (int n = 0; n < count; ++n) {
    reprise::RandomStream chance(seed, purpose, static_cast<std::uint64_t>(n));
    const std::string_view sign = signs[static_cast<std::size_t>(n) % signs.size()];
    const double angle = chance.uniform(-0.25, 0.25), slant = chance.uniform(-0.3, 0.3);
    // Half the sign's width and height, in pixels.
    const double width = chance.uniform(3, 5), height = chance.uniform(4.5, 6.5);
    const double right = chance.uniform(-1.5, 1.5), down = chance.uniform(-1.5, 1.5);
    const double pen = chance.uniform(0.7, 1.3);
    // Each corner's place in the image, in pixels from the middle.
    std::vector<detail::Point> corners;
    for (const char letter : sign) {
      const detail::Point p = detail::grid_point(letter);
      const double x = width * (p.x - slant * p.y), y = height * p.y;
      corners.push_back({std::cos(angle) * x - std::sin(angle) * y + right,
                         std::sin(angle) * x + std::cos(angle) * y + down});
    }
    for (int i = 0; i < side * side; ++i) {
      const detail::Point here{i % side - (side - 1) / 2.0, i / side - (side - 1) / 2.0};
      double nearest = side;
      for (std::size_t k = 1; k < sign.size(); ++k)
        if (sign[k - 1] != ' ' && sign[k] != ' ')
          nearest = std::min(nearest, detail::distance_to_stroke(here, corners[k - 1], corners[k]));
      const double covered = std::clamp(pen + 0.5 - nearest, 0.0, 1.0);
      pixels.push_back(static_cast<float>(style.paper + (style.ink - style.paper) * covered +
                                          style.noise * chance.normal()));
    }
    labels.push_back(n % static_cast<int>(signs.size()));
  }
  return {reprise::tensor({count, side, side, 1}, pixels), reprise::tensor({count}, labels)};
}

// Returns the share of the drawings whose sign the network names.
inline double accuracy(reprise::layers::Module& network, const Drawings& drawings) {
  const reprise::NoGrad nothing_to_record;
  const reprise::Tensor guess = reprise::ops::argmax_rows(network(drawings.images));
  int right = 0;
  for (std::int64_t i = 0; i < guess.numel(); ++i)
    right += guess.data<std::int64_t>()[i] == drawings.labels.data<std::int64_t>()[i];
  return right / static_cast<double>(guess.numel());
}

// Prints the first `count` drawings, five in a row, with denser characters where the value is high.
inline void print(const Drawings& drawings, int count) {
  for (int first = 0; first < count; first += 5)
    for (int y = 0; y < side; ++y) {
      for (int n = first; n < std::min(first + 5, count); ++n)
        for (int x = 0; x < side; ++x) {
          const float v = drawings.images.data<float>()[(n * side + y) * side + x];
          std::putchar(" .+#"[std::clamp(static_cast<int>(2 * v + 2), 0, 3)]);
        }
      std::putchar('\n');
    }
}

}  // namespace tour
