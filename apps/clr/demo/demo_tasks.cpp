#include "apps/clr/demo/demo_tasks.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string_view>

namespace reprise::clr {
namespace {

constexpr double pi = 3.141592653589793;
constexpr double light = 0.3, noise = 0.06;

using Distance = std::function<double(Point)>;

// The place, size and rotation of an object in the picture. local() gives a point in the object's
// own frame, in which its size is 1.
struct Pose {
  Point center;
  double size = 0, angle = 0;
  Point local(Point p) const {
    const Point q = rotated({p.x - center.x, p.y - center.y}, -angle);
    return {q.x / size, q.y / size};
  }
};

Pose random_pose(RandomStream& random, double smallest, double largest, double turn) {
  Pose pose;
  pose.size = random.uniform(smallest, largest);
  const double room = std::max(0.5 - pose.size, 0.02);
  pose.center.x = 0.5 + random.uniform(-room, room);
  pose.center.y = 0.5 + random.uniform(-room, room);
  pose.angle = random.uniform(-turn, turn);
  return pose;
}

double polygon_distance(Point p, int sides) {  // inradius 1 / 2 ... circumradius 1
  const double sector = 2 * pi / sides, angle = std::atan2(p.y, p.x);
  const double folded = angle - sector * std::floor(angle / sector) - sector / 2;
  return std::hypot(p.x, p.y) * std::cos(folded) - std::cos(sector / 2);
}

double box_distance(Point p, double half_width, double half_height) {
  return std::max(std::abs(p.x) - half_width, std::abs(p.y) - half_height);
}

double shape_distance(int shape, Point p) {
  const double radius = std::hypot(p.x, p.y);
  return shape == 0   ? std::min(box_distance(p, 1.0, 0.32), box_distance(p, 0.32, 1.0))  // cross
         : shape == 1 ? radius - 0.9                                                      // disc
         : shape == 2 ? std::abs(radius - 0.75) - 0.25                                    // ring
         : shape == 3 ? box_distance(p, 0.8, 0.8)                                         // square
                      : polygon_distance(p, 3);                                           // triangle
}

// Draws a shape, plain or striped, with random colours, place, size and rotation.
data::Image draw_shape(int label, int size, RandomStream& random) {
  const auto [back, front] = contrasting_colors(random);
  Canvas canvas(size, back);
  const Pose pose = random_pose(random, 0.26, 0.42, pi);
  const double scale = pose.size, waves = random.uniform(1.6, 2.6) * pi, phase = random.uniform(0, 2 * pi);
  const Color second = mix(front, back, 0.85);
  const bool striped = label % 2 == 1;
  canvas.fill([&](Point p) { return shape_distance(label / 2, pose.local(p)) * scale; },
              [&, front = front](Point p) {
                const double wave = striped ? std::sin(pose.local(p).x * waves + phase) : 1.0;
                return wave > 0 ? front : second;
              });
  return canvas.image(random, light, noise);
}

// Draws a pattern over the whole picture. Classes differ in form, not in colour or scale.
data::Image draw_texture(int label, int size, RandomStream& random) {
  const auto [back, front] = contrasting_colors(random);
  Canvas canvas(size, back);
  const double waves = random.uniform(6.0, 9.0) * pi, turn = random.uniform(0, pi);
  const double phase = random.uniform(0, 2 * pi), other = random.uniform(0, 2 * pi);
  const Point middle{random.uniform(0.2, 0.8), random.uniform(0.2, 0.8)};
  canvas.paint([&, back = back, front = front](Point p) {
    const Point q = rotated(p, turn);
    const double u = std::sin(q.x * waves + phase), v = std::sin(q.y * waves + other);
    const bool filled =
        label == 0   ? u * v > 0                                                               // checker
        : label == 1 ? u > 0.3 && v > 0.3                                                      // dots
        : label == 2 ? u > 0.8 || v > 0.8                                                      // grid
        : label == 3 ? std::sin(std::hypot(p.x - middle.x, p.y - middle.y) * waves) > 0        // rings
        : label == 4 ? u > 0                                                                   // stripes
                     : std::sin(q.x * waves + 1.8 * std::sin(q.y * waves * 0.5 + other)) > 0;  // waves
    return mix(back, front, filled ? 1 : 0);
  });
  return canvas.image(random, light, noise);
}

// Returns the point at t in [0,1] of a line of the given class, as a pen would draw it.
Point stroke_point(int label, double t, double bend) {
  if (label == 0) return {std::cos(pi * t) * 0.9, std::sin(pi * t) * (0.7 + 0.3 * bend) - 0.4};    // arc
  if (label == 1) return {2 * t - 1, 0.0};                                                         // line
  if (label == 2) return {std::cos(2 * pi * t) * 0.8, std::sin(2 * pi * t) * (0.6 + 0.3 * bend)};  // loop
  if (label == 3) return {t * std::cos(4.5 * pi * t), t * std::sin(4.5 * pi * t)};                 // spiral
  return {2 * t - 1, (0.35 + 0.2 * bend) * (std::abs(std::fmod(t * 4, 2.0) - 1) * 2 - 1)};         // zigzag
}

data::Image draw_stroke(int label, int size, RandomStream& random) {
  const auto [back, front] = contrasting_colors(random);
  Canvas canvas(size, back);
  const Pose pose = random_pose(random, 0.28, 0.44, pi);
  const double pen = random.uniform(0.02, 0.04), bend = random.uniform();
  constexpr int pieces = 48;
  std::vector<Point> points;
  for (int i = 0; i <= pieces; ++i) {
    const Point q = rotated(stroke_point(label, i / double{pieces}, bend), pose.angle);
    points.push_back({pose.center.x + q.x * pose.size, pose.center.y + q.y * pose.size});
  }
  canvas.fill(
      [&](Point p) {
        double nearest = 9;
        for (std::size_t i = 1; i < points.size(); ++i)
          nearest = std::min(nearest, distance_to_segment(p, points[i - 1], points[i]));
        return nearest - pen;
      },
      front);
  return canvas.image(random, light, noise);
}

// Draws one to five spots that do not touch.
data::Image draw_count(int label, int size, RandomStream& random) {
  const auto [back, front] = contrasting_colors(random);
  Canvas canvas(size, back);
  const double radius = random.uniform(0.06, 0.09);
  std::vector<Point> spots;
  while (std::ssize(spots) <= label) {
    const Point p{random.uniform(0.12, 0.88), random.uniform(0.12, 0.88)};
    if (std::all_of(spots.begin(), spots.end(),
                    [&](Point q) { return std::hypot(p.x - q.x, p.y - q.y) > 2.7 * radius; }))
      spots.push_back(p);
  }
  for (const Point spot : spots) {
    const double r = radius * random.uniform(0.85, 1.15);
    canvas.fill([&](Point p) { return std::hypot(p.x - spot.x, p.y - spot.y) - r; }, front);
  }
  return canvas.image(random, light, noise);
}

// Draws a soft grating at one of six angles.
data::Image draw_orientation(int label, int size, RandomStream& random) {
  const auto [back, front] = contrasting_colors(random);
  Canvas canvas(size, back);
  const double angle = label * pi / 6 + random.uniform(-0.12, 0.12);
  const double waves = random.uniform(5.0, 11.0) * pi, phase = random.uniform(0, 2 * pi);
  canvas.paint([&, back = back, front = front](Point p) {
    return mix(back, front, 0.5 + 0.5 * std::sin(rotated(p, angle).y * waves + phase));
  });
  return canvas.image(random, light, 2 * noise);
}

// Draws a letter on a grid of 5 x 7, a little rotated and slanted.
data::Image draw_glyph(int label, int size, RandomStream& random) {
  static constexpr std::string_view glyphs[] = {
      "01110100011000111111100011000110001", "11111100001000011110100001000011111",
      "10001100011000111111100011000110001", "10001100101010011000101001001010001",
      "11110100011000111110101001001010001", "11111001000010000100001000010000100"};
  const auto [back, front] = contrasting_colors(random);
  Canvas canvas(size, back);
  const Pose pose = random_pose(random, 0.3, 0.44, 0.35);
  const double slant = random.uniform(-0.25, 0.25), width = random.uniform(0.55, 0.8),
               bold = random.uniform(0.11, 0.17);
  const std::string_view glyph = glyphs[label];
  canvas.fill(
      [&](Point p) {
        const Point q = pose.local(p);
        const Point g{(q.x + slant * q.y) / width, q.y};  // the glyph fills -1..1
        double nearest = 9;
        for (int row = 0; row < 7; ++row)
          for (int column = 0; column < 5; ++column)
            if (glyph[static_cast<std::size_t>(row * 5 + column)] == '1')
              nearest = std::min(nearest, box_distance({g.x - (column - 2) * 0.4, g.y - (row - 3) * 0.29},
                                                       0.1 + bold, 0.07 + bold));
        return nearest * pose.size * width;
      },
      front);
  return canvas.image(random, light, noise);
}

// Draws a gradient from one colour to another.
data::Image draw_gradient(int label, int size, RandomStream& random) {
  const auto [a, b] = contrasting_colors(random);
  Canvas canvas(size, a);
  const bool turned = random.below(2) == 1;
  const double bend = random.uniform(0.7, 1.4), wobble = random.uniform(-0.15, 0.15);
  const Point middle{random.uniform(0.35, 0.65), random.uniform(0.35, 0.65)};
  canvas.paint([&, a = a, b = b](Point p) {
    double t = label == 0   ? (p.x + p.y) / 2 + wobble * (p.x - p.y)                 // diagonal
               : label == 1 ? p.x + wobble * (p.y - 0.5)                             // horizontal
               : label == 2 ? 1.5 * std::hypot(p.x - middle.x, p.y - middle.y)       // radial
               : label == 3 ? 2 * std::abs((p.x - middle.x) * (p.y - middle.y)) * 4  // saddle
                            : p.y + wobble * (p.x - 0.5);                            // vertical
    t = std::pow(std::clamp(t, 0.0, 1.0), bend);
    return mix(a, b, turned ? 1 - t : t);
  });
  return canvas.image(random, 0.1, 1.5 * noise);
}

// Draws a random field. Classes have the same brightness and spread; they differ in how
// neighbouring values are related.
data::Image draw_noise(int label, int size, RandomStream& random) {
  const auto [a, b] = contrasting_colors(random);
  Canvas canvas(size, a);
  constexpr int grid = 64;
  std::vector<double> values(grid * grid);
  for (double& v : values) v = random.normal();
  const auto value = [&](int x, int y) {
    return values[static_cast<std::size_t>((y & 63) * grid + (x & 63))];
  };
  const auto along = [&](int x, int y, int dx, int dy) {  // the sum of six neighbours, spread 1
    double sum = 0;
    for (int i = 0; i < 6; ++i) sum += value(x + i * dx, y + i * dy);
    return sum / std::sqrt(6.0);
  };
  const double contrast = random.uniform(0.2, 0.35);
  canvas.paint([&, a = a, b = b](Point p) {
    const int x = static_cast<int>(p.x * 32), y = static_cast<int>(p.y * 32);
    const double white = value(x, y);
    const double v = label == 0   ? value(x / 3, y / 3)  // blocks
                     : label == 1 ? along(x, y, 1, 0)    // horizontal
                     : label == 2 ? (along(x, y, 1, 1) - along(x, y + 1, 1, -1)) / std::sqrt(2.0)  // crossed
                     : label == 3 ? (white > 1.6    ? 2.6
                                     : white < -1.6 ? -2.6
                                                    : 0)  // specks
                     : label == 4 ? along(x, y, 0, 1)     // vertical
                                  : white;
    return mix(a, b, 0.5 + contrast * v);
  });
  return canvas.image(random, light, 0.02);
}

// Draws a small square beside or inside a large disc.
// The class is the square's place, as seen from the disc.
data::Image draw_relation(int label, int size, RandomStream& random) {
  const auto [back, front] = contrasting_colors(random);
  Canvas canvas(size, back);
  const Point disc{random.uniform(0.35, 0.65), random.uniform(0.35, 0.65)};
  const double direction = label * pi / 2 + random.uniform(-0.5, 0.5), radius = random.uniform(0.1, 0.15);
  const double away = label == 4 ? 0 : radius + random.uniform(0.12, 0.16),
               side = label == 4 ? radius * 0.5 : 0.06;
  const Point square{disc.x + away * std::cos(direction), disc.y + away * std::sin(direction)};
  canvas.fill([&](Point p) { return std::hypot(p.x - disc.x, p.y - disc.y) - radius; }, front);
  canvas.fill(
      [&](Point p) {
        return box_distance({p.x - square.x, p.y - square.y}, side, side);
      },
      label == 4 ? back : mix(front, back, 0.2));
  return canvas.image(random, light, noise);
}

// Draws one coloured object among three nearly grey ones. The class is its hue.
data::Image draw_color(int label, int size, RandomStream& random) {
  const double ground_value = random.uniform(0.2, 0.9), ground_saturation = random.uniform(0.0, 0.25),
               ground_hue = random.uniform();
  Canvas canvas(size, hsv(ground_hue, ground_saturation, ground_value));
  for (int i = 0; i < 4; ++i) {
    const Pose pose = random_pose(random, 0.1, 0.2, pi);
    const int shape = static_cast<int>(random.below(5));
    const double hue = label / 6.0 + random.uniform(-0.05, 0.05) + 1.0;
    const double saturation = i == 3 ? random.uniform(0.5, 0.9) : random.uniform(0.0, 0.15);
    const Color color = hsv(hue, saturation, random.uniform(0.4, 0.95));
    canvas.fill([&](Point p) { return shape_distance(shape, pose.local(p)) * pose.size; }, color);
  }
  return canvas.image(random, light, noise);
}

}  // namespace

const std::vector<DemoTask>& demo_tasks() {
  static const std::vector<DemoTask> tasks = {
      {"01-shapes",
       {"cross", "cross-striped", "disc", "disc-striped", "ring", "ring-striped", "square", "square-striped",
        "triangle", "triangle-striped"},
       draw_shape},
      {"02-textures", {"checker", "dots", "grid", "rings", "stripes", "waves"}, draw_texture},
      {"03-strokes", {"arc", "line", "loop", "spiral", "zigzag"}, draw_stroke},
      {"04-counts", {"1", "2", "3", "4", "5"}, draw_count},
      {"05-orientations", {"000", "030", "060", "090", "120", "150"}, draw_orientation},
      {"06-glyphs", {"A", "E", "H", "K", "R", "T"}, draw_glyph},
      {"07-noise", {"blocks", "horizontal", "crossed", "specks", "vertical", "white"}, draw_noise},
      {"08-gradients", {"diagonal", "horizontal", "radial", "saddle", "vertical"}, draw_gradient},
      {"09-relations", {"right", "below", "left", "above", "inside"}, draw_relation},
      {"10-colours", {"red", "yellow", "green", "cyan", "blue", "magenta"}, draw_color},
  };
  return tasks;
}

}  // namespace reprise::clr
