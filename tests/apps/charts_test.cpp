// The report's charts: where each mark stands, by the chart's scale.
#include "apps/clr/report/charts.h"

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "tests/apps/figures.h"

namespace reprise::test {
namespace {

using namespace reprise::clr;

std::vector<Element> drawn(const auto& draw) {
  Html html;
  draw(html);
  return elements_of(html.markup());
}

std::vector<Element> only(const std::vector<Element>& all, const std::string& tag,
                          const std::string& kind = {}) {
  std::vector<Element> some;
  for (const Element& e : all)
    if (e.is(tag, kind)) some.push_back(e);
  return some;
}

TEST(Charts, a_strip_has_every_value_at_its_share_of_the_width) {
  const auto all = drawn([](Html& h) { draw_strip(h, "S", 0.25, {{"a", 0.5}, {"b", {}}, {"c", 0.75}}); });
  const auto lines = only(all, "line", "grid");
  EXPECT_EQ(all[0].at("viewBox"), "0 0 240 22");
  ASSERT_EQ(lines.size(), 6u);
  EXPECT_EQ(lines[0].number("x1"), 6);
  EXPECT_EQ(lines[0].number("x2"), 234);
  for (std::size_t quarter = 0; quarter < 5; ++quarter) {
    EXPECT_EQ(lines[1 + quarter].number("x1"), 6 + 57.0 * static_cast<double>(quarter));
    EXPECT_EQ(lines[1 + quarter].number("x2"), lines[1 + quarter].number("x1"));
    EXPECT_LT(lines[1 + quarter].number("y1"), lines[0].number("y1"));
    EXPECT_GT(lines[1 + quarter].number("y2"), lines[0].number("y1"));
  }
  const auto chance = only(all, "line", "chance");
  ASSERT_EQ(chance.size(), 1u);
  EXPECT_EQ(chance[0].number("x1"), 63);
  EXPECT_EQ(chance[0].number("x2"), 63);
  EXPECT_LT(chance[0].number("y1"), lines[1].number("y1")) << "longer than the ticks";
  EXPECT_GT(chance[0].number("y2"), lines[1].number("y2"));
  // The first series is a circle and lies on top; the second has no value; the third is a triangle.
  EXPECT_EQ(only(all, "circle").at(0).number("cx"), 120);
  EXPECT_EQ(only(all, "circle").at(0).number("cy"), 11);
  EXPECT_TRUE(only(all, "rect").empty());
  EXPECT_EQ(only(all, "path").at(0).at("d"), "M177 5l5.5 10h-11z");
  EXPECT_EQ(all[all.size() - 2].name, "circle");
}

// Returns the outline of a marker's path: the points that its commands reach.
std::vector<std::pair<double, double>> outline(const std::string& d) {
  std::vector<std::pair<double, double>> points;
  double x = 0, y = 0;
  std::istringstream in(d);
  for (char command = 0; in >> command;) {
    double a = 0, b = 0;
    if (command == 'z') continue;
    in >> a;
    if (command != 'h' && command != 'v') in >> b;
    if (command == 'v') b = a, a = 0;
    x = command == 'M' ? a : x + a, y = command == 'M' ? b : y + b;
    points.emplace_back(x, y);
  }
  return points;
}

TEST(Charts, markers_lie_around_their_point_and_differ_by_series) {
  std::string before;
  for (std::size_t series = 0; series < series_styles; ++series) {
    const auto all = drawn([&](Html& h) { draw_marker(h, series, 50, 80, 10); });
    ASSERT_EQ(all.size(), 1u);
    const Element& e = all[0];
    const std::string colour = "var(--series" + std::to_string(series) + ")";
    std::string said;
    for (const auto& [name, value] : e.attributes) said += name + "=" + value + " ";
    EXPECT_NE(said.find(colour), std::string::npos) << said;
    EXPECT_NE(said, before);
    before = said;
    if (series == 0) {
      EXPECT_EQ(e.number("cx"), 50);
      EXPECT_EQ(e.number("cy"), 80);
      EXPECT_EQ(e.number("r"), 10);
    } else if (series == 1) {
      EXPECT_EQ(e.number("x") + e.number("width") / 2, 50);
      EXPECT_EQ(e.number("y") + e.number("height") / 2, 80);
      EXPECT_EQ(e.number("width"), 18);
    } else {
      const auto points = outline(e.at("d"));
      ASSERT_GE(points.size(), 3u);
      double left = 1e9, right = -1e9, top = 1e9, bottom = -1e9;
      for (const auto& [x, y] : points)
        left = std::min(left, x), right = std::max(right, x), top = std::min(top, y),
        bottom = std::max(bottom, y);
      EXPECT_NEAR((left + right) / 2, 50, 0.01) << series;
      EXPECT_NEAR((top + bottom) / 2, series == 2 ? 78 : 80, 0.01) << series;
      EXPECT_NEAR(right - left, series == 2 ? 22 : series == 3 ? 24 : 20, 0.01) << series;
      EXPECT_NEAR(bottom - top, series == 3 ? 26 : 20, 0.01) << series;
      EXPECT_EQ(e.attributes.contains("fill"), series < 4) << "plus and cross are strokes";
    }
  }
  const auto again = drawn([](Html& h) { draw_marker(h, series_styles, 50, 80, 10); });
  EXPECT_EQ(again[0].name, "circle") << "more series than styles begin anew";
}

TEST(Charts, curves_run_through_their_values_and_mark_the_best_epoch) {
  const Curve val{"a", 0, false, {0.0, {}, 1.0, 0.5}, 3}, train{"b", 1, true, {1.0, 0.5}, 0};
  const auto all = drawn([&](Html& h) { draw_curves(h, "C", {val, train}, 0.25, 200, 120); });
  EXPECT_EQ(all[0].at("viewBox"), "0 0 200 120");
  EXPECT_EQ(all[1].text, "C");
  const auto lines = only(all, "polyline");
  ASSERT_EQ(lines.size(), 2u);
  // The axes reach from x = 34 to 192 and from y = 100 up to 8. An epoch without a value is left out.
  EXPECT_EQ(lines[0].at("points"), "34,100 139.3,8 192,54 ");
  EXPECT_EQ(lines[1].at("points"), "34,8 86.7,54 ");
  EXPECT_GT(lines[0].number("stroke-width"), lines[1].number("stroke-width"));
  EXPECT_GT(lines[0].number("stroke-opacity"), lines[1].number("stroke-opacity"));
  EXPECT_NE(lines[0].at("stroke-dasharray"), lines[1].at("stroke-dasharray"));
  ASSERT_EQ(only(all, "circle").size(), 1u);
  EXPECT_EQ(only(all, "circle")[0].at("cx"), "139.3");
  EXPECT_EQ(only(all, "circle")[0].number("cy"), 8);
  EXPECT_TRUE(only(all, "rect").empty()) << "best 0: no marker";
  const auto grid = only(all, "line", "grid"), chance = only(all, "line", "chance");
  ASSERT_EQ(grid.size(), 3u);
  ASSERT_EQ(chance.size(), 1u);
  const auto words = only(all, "text");
  ASSERT_EQ(words.size(), 5u);
  for (const std::size_t half : {0u, 1u, 2u}) {
    EXPECT_EQ(words[half].text, std::to_string(50 * half));
    EXPECT_EQ(grid[half].number("y1"), 100 - 46.0 * static_cast<double>(half));
    EXPECT_EQ(grid[half].number("y1"), grid[half].number("y2"));
    EXPECT_EQ(words[half].number("y"), grid[half].number("y1") + 4) << "beside its line";
    EXPECT_LT(words[half].number("x"), grid[half].number("x1"));
  }
  EXPECT_EQ(chance[0].number("y1"), 77);
  EXPECT_EQ(chance[0].number("y2"), 77);
  EXPECT_EQ(words[3].text, "epoch 1");
  EXPECT_EQ(words[3].number("x"), 34);
  EXPECT_EQ(words[4].text, "4");
  EXPECT_EQ(words[4].number("x"), 192);
  for (const std::size_t word : {3u, 4u}) EXPECT_EQ(words[word].number("y"), 115) << "below the axis";
  const auto two = drawn([](Html& h) { draw_curves(h, "C", {{"a", 0, false, {0.5, 0.5}, 0}}, 0, 200, 120); });
  EXPECT_EQ(only(two, "polyline")[0].at("points"), "34,54 192,54 ");
  // A single epoch stands at the left; a best epoch outside of the log has no marker.
  for (const int best : {1, 2}) {
    const auto one = drawn([&](Html& h) {
      draw_curves(h, "C", {{"a", 0, false, {0.5}, best}}, 0.5, 200, 120);
    });
    EXPECT_EQ(only(one, "polyline")[0].at("points"), "34,54 ");
    EXPECT_EQ(only(one, "circle").size(), best == 1 ? 1u : 0u);
  }
}

TEST(Charts, a_matrix_shows_each_share_in_its_row_and_column) {
  const auto all = drawn([](Html& h) {
    draw_matrix(h, "M", {"r0", "a row with a long name"}, {"c0", "c1", "a column with a long name"},
                {0, 0.55, std::nan(""), 1, 0.004, 0.56}, "·");
  });
  const auto cells = only(all, "rect"), words = only(all, "text");
  ASSERT_EQ(cells.size(), 6u);
  const std::vector<std::string> opacity = {"0.06", "0.50", "0.03", "0.86", "0.06", "0.51"};
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(cells[i].number("x"), 126 + 34.0 * static_cast<double>(i % 3));
    EXPECT_EQ(cells[i].number("y"), 84 + 22.0 * static_cast<double>(i / 3));
    EXPECT_EQ(cells[i].number("width"), 33) << "a gap of one pixel";
    EXPECT_EQ(cells[i].number("height"), 21);
    EXPECT_EQ(cells[i].at("fill-opacity"), opacity[i]) << i;
  }
  Cells said;
  for (const Element& e : words) said.push_back(e.text);
  // Names of columns, then each row's name and its numbers; 0 stays empty.
  EXPECT_EQ(said, (Cells{"c0", "c1", "a column with …", "r0", "55", "·", "a row with a lo…", "100", "56"}));
  for (const std::size_t column : {0u, 1u, 2u}) {
    const std::string x = std::to_string(147 + 34 * column);
    EXPECT_EQ(words[column].at("x"), x);
    EXPECT_EQ(words[column].at("y"), "78") << "above the cells";
    EXPECT_EQ(words[column].at("transform"), "rotate(-50 " + x + " 78)");
  }
  for (const std::size_t row : {3u, 6u}) EXPECT_EQ(words[row].number("x"), 120) << "left of the cells";
  EXPECT_EQ(words[4].number("x"), 126 + 34 * 1.5);
  EXPECT_EQ(words[8].number("x"), 126 + 34 * 2.5);
  for (const auto& [word, row] : {std::pair(3, 0), {4, 0}, {5, 0}, {6, 1}, {7, 1}, {8, 1}}) {
    const double y = words[static_cast<std::size_t>(word)].number("y") - 84 - 22 * row;
    EXPECT_TRUE(y > 0 && y < 22) << word;
  }
  EXPECT_TRUE(words[7].is("text", "on-shade") && words[8].is("text", "on-shade"));
  EXPECT_TRUE(words[4].is("text", "label") && words[5].is("text", "label"));
  const std::string box = all[0].at("viewBox");
  EXPECT_EQ(box, "0 0 278 132");
  // Names that just fit.
  const auto named =
      drawn([](Html& h) { draw_matrix(h, "M", {"fifteen letters"}, {"fourteen chars"}, {0}, ""); });
  EXPECT_EQ(only(named, "text")[0].text, "fourteen chars");
  EXPECT_EQ(only(named, "text")[1].text, "fifteen letters");
}

TEST(Charts, bars_are_as_long_as_their_values) {
  const auto all = drawn([](Html& h) {
    draw_bars(h, "B", {{"one", "1.0", 1}, {"none", "0", 0}, {"four", "4.0", 4}});
  });
  const auto bars = only(all, "rect"), words = only(all, "text");
  ASSERT_EQ(bars.size(), 3u);
  EXPECT_EQ(all[0].at("viewBox"), "0 0 440 58");
  EXPECT_EQ(bars[0].number("width"), 55);
  EXPECT_EQ(bars[1].number("width"), 0.5) << "still to be seen";
  EXPECT_EQ(bars[2].number("width"), 220);
  Cells said;
  for (const Element& e : words) said.push_back(e.text);
  EXPECT_EQ(said, (Cells{"one", "1.0", "none", "0", "four", "4.0"}));
  for (const std::size_t i : {0u, 1u, 2u}) {
    EXPECT_EQ(bars[i].number("x"), 150);
    EXPECT_EQ(bars[i].number("y"), 4 + 18.0 * static_cast<double>(i));
    EXPECT_LT(words[2 * i].number("x"), 150);
    EXPECT_GT(words[2 * i + 1].number("x"), 150 + (i == 1 ? 0 : bars[i].number("width")));
    EXPECT_LT(words[2 * i + 1].number("x"), 160 + bars[i].number("width"));
    for (const std::size_t word : {2 * i, 2 * i + 1}) {
      const double y = words[word].number("y");
      EXPECT_TRUE(y > bars[i].number("y") && y <= bars[i].number("y") + bars[i].number("height")) << word;
    }
    if (i > 0) {
      EXPECT_GE(bars[i].number("y"), bars[i - 1].number("y") + bars[i - 1].number("height"));
    }
  }
  const auto zero = drawn([](Html& h) { draw_bars(h, "B", {{"none", "0", 0}}); });
  EXPECT_EQ(only(zero, "rect")[0].number("width"), 0.5);
}

TEST(Charts, filters_are_scaled_to_their_largest_tap) {
  Tensor filters = zeros({3, 3, 3});
  float* w = filters.mutable_data<float>();
  w[9 + 4] = -20;  // of channel 1: the centre, half of it, and a little
  w[9 + 5] = 10;
  w[9 + 6] = -3;
  w[0] = 5;  // of channel 0
  const auto all = drawn([&](Html& h) { draw_filters(h, "F", filters, {1, 0, 2}, true); });
  const auto taps = only(all, "rect"), minus = only(all, "line", "minus"), words = only(all, "text");
  ASSERT_EQ(taps.size(), 27u);
  for (std::size_t i = 0; i < 27; ++i) {
    EXPECT_EQ(taps[i].number("x"), 41.0 * static_cast<double>(i / 9) + 11.0 * static_cast<double>(i % 3));
    EXPECT_EQ(taps[i].number("y"), 11.0 * static_cast<double>(i % 9 / 3));
    EXPECT_TRUE(taps[i].number("width") == 10 && taps[i].number("height") == 10) << "a gap of one pixel";
    const double share = i == 4 || i == 9 ? 1 : i == 5 ? 0.5 : i == 6 ? 0.15 : 0;
    EXPECT_NEAR(taps[i].number("fill-opacity"), 0.05 + 0.95 * share, 0.0051) << i;
    EXPECT_EQ(taps[i].at("fill"), i == 4 || i == 6 ? "var(--negative)" : "var(--positive)") << i;
  }
  ASSERT_EQ(minus.size(), 1u) << "a tap that is nearly 0 has none";
  EXPECT_TRUE(minus[0].number("x1") > 11 && minus[0].number("x2") < 21 &&
              minus[0].number("x1") < minus[0].number("x2"));
  EXPECT_TRUE(minus[0].number("y1") > 11 && minus[0].number("y1") < 21 &&
              minus[0].number("y1") == minus[0].number("y2"));
  ASSERT_EQ(words.size(), 3u);
  for (const auto& [word, channel] : {std::pair(0, "1"), {1, "0"}, {2, "2"}}) {
    EXPECT_EQ(words[static_cast<std::size_t>(word)].text, channel);
    EXPECT_EQ(words[static_cast<std::size_t>(word)].number("x"), 41 * word + 16.5);
    EXPECT_GT(words[static_cast<std::size_t>(word)].number("y"), 33);
  }
  EXPECT_EQ(all[0].at("viewBox"), "0 0 123 49");
  const auto plain = drawn([&](Html& h) { draw_filters(h, "F", filters, {1}, false); });
  EXPECT_TRUE(only(plain, "text").empty());
  EXPECT_EQ(plain[0].at("viewBox"), "0 0 41 35");
}

}  // namespace
}  // namespace reprise::test
