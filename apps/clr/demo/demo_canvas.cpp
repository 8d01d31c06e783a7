#include "apps/clr/demo/demo_canvas.h"

#include <algorithm>
#include <cmath>

namespace reprise::clr {

Color hsv(double hue, double saturation, double value) {
  Color color{};
  for (std::size_t c = 0; c < 3; ++c) {
    const double place = std::fmod(hue * 6.0 + (c == 0 ? 5.0 : c == 1 ? 3.0 : 1.0), 6.0);
    color[c] = value - value * saturation * std::clamp(std::min(place, 4.0 - place), 0.0, 1.0);
  }
  return color;
}

Color mix(const Color& a, const Color& b, double share_of_b) {
  Color color{};
  for (std::size_t c = 0; c < 3; ++c) color[c] = a[c] + (b[c] - a[c]) * share_of_b;
  return color;
}

std::array<Color, 2> contrasting_colors(RandomStream& random) {
  const auto brightness = [](const Color& c) { return 0.3 * c[0] + 0.6 * c[1] + 0.1 * c[2]; };
  for (;;) {
    const auto draw = [&] {
      const double hue = random.uniform(), saturation = random.uniform(0.1, 0.9);
      return hsv(hue, saturation, random.uniform(0.15, 1.0));
    };
    const Color a = draw();
    const Color b = draw();
    if (std::abs(brightness(a) - brightness(b)) >= 0.35) return {a, b};
  }
}

double distance_to_segment(Point p, Point a, Point b) {
  const double dx = b.x - a.x, dy = b.y - a.y, length2 = dx * dx + dy * dy;
  const double t = length2 == 0 ? 0 : std::clamp(((p.x - a.x) * dx + (p.y - a.y) * dy) / length2, 0.0, 1.0);
  return std::hypot(p.x - a.x - t * dx, p.y - a.y - t * dy);
}

Point rotated(Point p, double angle) {
  const double c = std::cos(angle), s = std::sin(angle);
  return {c * p.x - s * p.y, s * p.x + c * p.y};
}

Canvas::Canvas(int size, const Color& background)
    : size_(size), pixels_(static_cast<std::size_t>(size) * size, background) {}

void Canvas::paint(const std::function<Color(Point)>& color) {
  for (int y = 0; y < size_; ++y)
    for (int x = 0; x < size_; ++x) at(x, y) = color(center_of(x, y));
}

void Canvas::fill(const std::function<double(Point)>& distance, const std::function<Color(Point)>& color) {
  for (int y = 0; y < size_; ++y) {
    for (int x = 0; x < size_; ++x) {
      const Point p = center_of(x, y);
      const double covered = std::clamp(0.5 - distance(p) * size_, 0.0, 1.0);
      if (covered > 0) at(x, y) = mix(at(x, y), color(p), covered);
    }
  }
}

void Canvas::fill(const std::function<double(Point)>& distance, const Color& color) {
  fill(distance, [&](Point) { return color; });
}

data::Image Canvas::image(RandomStream& random, double light, double noise) const {
  const double direction = random.uniform(0, 6.283185307179586), strength = random.uniform(-light, light);
  data::Image image{size_, size_, {}};
  for (int y = 0; y < size_; ++y)
    for (int x = 0; x < size_; ++x) {
      const Point p = center_of(x, y);
      const double lit = strength * ((p.x - 0.5) * std::cos(direction) + (p.y - 0.5) * std::sin(direction));
      for (double v : pixels_[static_cast<std::size_t>(y) * size_ + x]) {
        v += lit + noise * random.normal();
        image.rgb.push_back(static_cast<std::uint8_t>(std::lround(std::clamp(v, 0.0, 1.0) * 255.0)));
      }
    }
  return image;
}

}  // namespace reprise::clr
