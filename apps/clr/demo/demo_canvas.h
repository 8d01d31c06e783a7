// A small drawing surface: anti-aliased shapes, given by
// their signed distances, with colours and noise.
#pragma once

#include <array>
#include <functional>
#include <vector>

#include "data/image/image.h"
#include "engine/base/random.h"

namespace reprise::clr {

using Color = std::array<double, 3>;  // red, green, blue, each from 0 to 1

struct Point {
  double x = 0, y = 0;
};

// Returns the colour of the given hue (0 to 1, cyclic), saturation and brightness.
Color hsv(double hue, double saturation, double value);
Color mix(const Color& a, const Color& b, double share_of_b);
// Returns two random colours that are easy to distinguish:
// their brightness differs by at least 0.35.
std::array<Color, 2> contrasting_colors(RandomStream& random);

double distance_to_segment(Point p, Point a, Point b);
Point rotated(Point p, double angle);

class Canvas {
 public:
  Canvas(int size, const Color& background);

  int size() const { return size_; }
  // Sets every pixel to color(p), where p is the pixel's centre in the unit square.
  void paint(const std::function<Color(Point)>& color);
  // Fills the shape where the signed distance (in units of the
  // side, negative inside) is below 0; blends its edge.
  void fill(const std::function<double(Point)>& distance, const std::function<Color(Point)>& color);
  void fill(const std::function<double(Point)>& distance, const Color& color);
  // Returns the picture with a smooth variation of brightness of
  // strength `light` and with noise on every value.
  data::Image image(RandomStream& random, double light, double noise) const;

 private:
  Point center_of(int x, int y) const { return {(x + 0.5) / size_, (y + 0.5) / size_}; }
  Color& at(int x, int y) { return pixels_[static_cast<std::size_t>(y) * size_ + x]; }

  int size_;
  std::vector<Color> pixels_;
};

}  // namespace reprise::clr
