#include "apps/clr/report/charts.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/base/check.h"

namespace reprise::clr {
namespace {

std::string pixels(double v) {
  std::string text = fmt::format("{:.1f}", v);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

std::string colour_of(std::size_t series) {
  return fmt::format("var(--series{})", series % series_styles);
}

// An SVG of the given width, or of the width of its place if that is narrower.
class Picture {
 public:
  Picture(Html& html, const std::string& title, double width, double height)
      : svg_(html, "svg",
             {{"xmlns", "http://www.w3.org/2000/svg"},
              {"viewBox", fmt::format("0 0 {} {}", pixels(width), pixels(height))},
              {"width", pixels(width)},
              {"role", "img"}}) {
    html.leaf("title", {}, title);
  }

 private:
  Opened svg_;
};

void write(Html& html, double x, double y, std::string_view text, const char* anchor = "start",
           const char* kind = "label") {
  html.leaf("text", {{"x", pixels(x)}, {"y", pixels(y)}, {"text-anchor", anchor}, {"class", kind}}, text);
}

void rule(Html& html, double x1, double y1, double x2, double y2, const char* kind = "grid") {
  html.leaf(
      "line",
      {{"x1", pixels(x1)}, {"y1", pixels(y1)}, {"x2", pixels(x2)}, {"y2", pixels(y2)}, {"class", kind}});
}

// Returns at most `most` characters (UTF-8) of the text; a longer text ends with "…".
std::string shortened(const std::string& text, std::size_t most) {
  std::size_t characters = 0;
  for (std::size_t i = 0; i < text.size(); ++i)
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80 && ++characters > most)
      return text.substr(0, i) + "…";
  return text;
}

}  // namespace

void draw_marker(Html& html, std::size_t series, double x, double y, double r) {
  const std::string fill = colour_of(series);
  const std::size_t form = series % series_styles;
  if (form == 0) {
    html.leaf("circle", {{"cx", pixels(x)}, {"cy", pixels(y)}, {"r", pixels(r)}, {"fill", fill}});
    return;
  }
  if (form == 1) {
    html.leaf("rect", {{"x", pixels(x - r * 0.9)},
                       {"y", pixels(y - r * 0.9)},
                       {"width", pixels(1.8 * r)},
                       {"height", pixels(1.8 * r)},
                       {"fill", "var(--page)"},
                       {"stroke", fill},
                       {"stroke-width", "2"}});
    return;
  }
  // Triangle, diamond, plus, cross.
  const std::string path =
      form == 2   ? fmt::format("M{} {}l{} {}h{}z", pixels(x), pixels(y - 1.2 * r), pixels(1.1 * r),
                                pixels(2 * r), pixels(-2.2 * r))
      : form == 3 ? fmt::format("M{} {}l{} {}l{} {}l{} {}z", pixels(x), pixels(y - 1.3 * r), pixels(1.2 * r),
                                pixels(1.3 * r), pixels(-1.2 * r), pixels(1.3 * r), pixels(-1.2 * r),
                                pixels(-1.3 * r))
      : form == 4 ? fmt::format("M{} {}h{}m{} {}v{}", pixels(x - r), pixels(y), pixels(2 * r), pixels(-r),
                                pixels(-r), pixels(2 * r))
                  : fmt::format("M{} {}l{} {}m0 {}l{} {}", pixels(x - r), pixels(y - r), pixels(2 * r),
                                pixels(2 * r), pixels(-2 * r), pixels(-2 * r), pixels(2 * r));
  if (form < 4)
    html.leaf("path", {{"d", path}, {"fill", fill}});
  else
    html.leaf("path", {{"d", path}, {"stroke", fill}, {"stroke-width", "2.5"}});
}

void draw_strip(Html& html, const std::string& title, double chance, const std::vector<StripValue>& values) {
  constexpr double left = 6, wide = 228, y = 11;
  const Picture picture(html, title, wide + 12, 22);
  rule(html, left, y, left + wide, y);
  for (const int quarter : {0, 1, 2, 3, 4})
    rule(html, left + wide * quarter / 4, y - 3, left + wide * quarter / 4, y + 3);
  rule(html, left + wide * chance, y - 8, left + wide * chance, y + 8, "chance");
  for (std::size_t i = values.size(); i-- > 0;)  // the first on top
    if (values[i].value) draw_marker(html, i, left + wide * *values[i].value, y, 5);
}

void draw_curves(Html& html, const std::string& title, const std::vector<Curve>& curves, double chance,
                 int width, int height) {
  const double left = 34, right = width - 8.0, top = 8, bottom = height - 20.0;
  std::size_t epochs = 1;
  for (const Curve& c : curves) epochs = std::max(epochs, c.values.size());
  const auto x = [&](std::size_t epoch) {
    return epochs < 2 ? left
                      : left + (right - left) * static_cast<double>(epoch) / static_cast<double>(epochs - 1);
  };
  const auto y = [&](double value) { return bottom - (bottom - top) * value; };
  const Picture picture(html, title, width, height);
  for (const int half : {0, 1, 2}) {
    rule(html, left, y(half / 2.0), right, y(half / 2.0));
    write(html, left - 4, y(half / 2.0) + 4, std::to_string(50 * half), "end");
  }
  rule(html, left, y(chance), right, y(chance), "chance");
  write(html, left, height - 5.0, "epoch 1");
  write(html, right, height - 5.0, std::to_string(epochs), "end");
  static constexpr std::array dashes = {"none", "7 3", "2 3", "9 3 2 3", "14 4", "4 2 1 2 1 2"};
  for (const Curve& c : curves) {
    std::string points;
    for (std::size_t e = 0; e < c.values.size(); ++e)
      if (c.values[e]) points += fmt::format("{},{} ", pixels(x(e)), pixels(y(*c.values[e])));
    html.leaf("polyline", {{"points", points},
                           {"fill", "none"},
                           {"stroke", colour_of(c.series)},
                           {"stroke-width", c.faint ? "1" : "2"},
                           {"stroke-opacity", c.faint ? "0.6" : "1"},
                           {"stroke-dasharray", dashes[c.series % series_styles]}});
    const auto best = static_cast<std::size_t>(c.best);
    if (best >= 1 && best <= c.values.size() && c.values[best - 1])
      draw_marker(html, c.series, x(best - 1), y(*c.values[best - 1]), 4);
  }
}

void draw_matrix(Html& html, const std::string& title, const std::vector<std::string>& rows,
                 const std::vector<std::string>& columns, const std::vector<double>& values,
                 const std::string& unmeasured) {
  constexpr double cell = 34, high = 22, left = 126, top = 84;
  const Picture picture(html, title, left + cell * static_cast<double>(columns.size()) + 50,
                        top + high * static_cast<double>(rows.size()) + 4);
  for (std::size_t c = 0; c < columns.size(); ++c) {
    const double x = left + cell * (static_cast<double>(c) + 0.5) + 4;
    html.leaf("text",
              {{"x", pixels(x)},
               {"y", pixels(top - 6)},
               {"class", "label"},
               {"transform", fmt::format("rotate(-50 {} {})", pixels(x), pixels(top - 6))}},
              shortened(columns[c], 14));
  }
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const double y = top + high * static_cast<double>(r);
    write(html, left - 6, y + 15, shortened(rows[r], 15), "end");
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const double value = values[r * columns.size() + c], x = left + cell * static_cast<double>(c);
      const bool measured = !std::isnan(value);
      html.leaf("rect", {{"x", pixels(x)},
                         {"y", pixels(y)},
                         {"width", pixels(cell - 1)},
                         {"height", pixels(high - 1)},
                         {"fill", "var(--shade)"},
                         {"fill-opacity", measured ? fmt::format("{:.2f}", 0.06 + 0.8 * value) : "0.03"}});
      const std::string text = measured ? fmt::format("{:.0f}", 100 * value) : unmeasured;
      if (text != "0")
        write(html, x + cell / 2, y + 15, text, "middle", measured && value > 0.55 ? "on-shade" : "label");
    }
  }
}

void draw_bars(Html& html, const std::string& title, const std::vector<Bar>& bars) {
  constexpr double left = 150, wide = 220, high = 18;
  double most = 0;
  for (const Bar& b : bars) most = std::max(most, b.value);
  const Picture picture(html, title, left + wide + 70, high * static_cast<double>(bars.size()) + 4);
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const double y = high * static_cast<double>(i) + 2, w = most > 0 ? wide * bars[i].value / most : 0;
    write(html, left - 6, y + 13, shortened(bars[i].name, 22), "end");
    html.leaf("rect", {{"x", pixels(left)},
                       {"y", pixels(y + 2)},
                       {"width", pixels(std::max(w, 0.5))},
                       {"height", pixels(high - 5)},
                       {"fill", "var(--series0)"}});
    write(html, left + w + 5, y + 13, bars[i].label);
  }
}

void draw_filters(Html& html, const std::string& title, const Tensor& filters,
                  const std::vector<std::int64_t>& chosen, bool numbered) {
  constexpr double cell = 11, gap = 8;
  const std::int64_t side = filters.dim(1);
  const double one = cell * static_cast<double>(side);
  const Picture picture(html, title, (one + gap) * static_cast<double>(chosen.size()),
                        one + (numbered ? 16 : 2));
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const double left = (one + gap) * static_cast<double>(i);
    const float* w = filters.data<float>() + chosen[i] * side * side;
    const auto most = static_cast<double>(std::abs(
        *std::max_element(w, w + side * side, [](float a, float b) { return std::abs(a) < std::abs(b); })));
    for (std::int64_t k = 0; k < side * side; ++k) {
      const double share = most > 0 ? static_cast<double>(w[k]) / most : 0;
      const double x = left + cell * static_cast<double>(k % side), y = cell * static_cast<double>(k / side);
      html.leaf("rect", {{"x", pixels(x)},
                         {"y", pixels(y)},
                         {"width", pixels(cell - 1)},
                         {"height", pixels(cell - 1)},
                         {"fill", share < 0 ? "var(--negative)" : "var(--positive)"},
                         {"fill-opacity", fmt::format("{:.2f}", 0.05 + 0.95 * std::abs(share))}});
      if (share < -0.15) rule(html, x + 3, y + cell / 2 - 0.5, x + cell - 4, y + cell / 2 - 0.5, "minus");
    }
    if (numbered) write(html, left + one / 2, one + 12, std::to_string(chosen[i]), "middle", "small");
  }
}

}  // namespace reprise::clr
