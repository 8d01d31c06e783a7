// Charts as inline SVG, with titles for those who cannot see them; colours are CSS variables of the page.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/clr/report/html.h"
#include "engine/core/tensor.h"

namespace reprise::clr {

// How the series with this number is drawn everywhere: colour, dash, and a marker of its own shape.
inline constexpr std::size_t series_styles = 6;
void draw_marker(Html& html, std::size_t series, double x, double y, double radius);

// A line from 0 to 100 % with a tick at chance and a marker for every value that is there.
struct StripValue {
  std::string name;
  std::optional<double> value;  // 0..1
};
void draw_strip(Html& html, const std::string& title, double chance, const std::vector<StripValue>& values);

// Curves over epochs, values 0..1; a dot where the best epoch is.
struct Curve {
  std::string name;
  std::size_t series = 0;
  bool faint = false;
  std::vector<std::optional<double>> values;
  int best = 0;  // counted from 1; 0: none
};
void draw_curves(Html& html, const std::string& title, const std::vector<Curve>& curves, double chance,
                 int width, int height);

// A matrix of shares 0..1 with a number in each cell; rows and columns bear names. NaN: not measured.
void draw_matrix(Html& html, const std::string& title, const std::vector<std::string>& rows,
                 const std::vector<std::string>& columns, const std::vector<double>& values,
                 const std::string& unmeasured);

// Bars with their names and values written beside them.
struct Bar {
  std::string name, label;
  double value = 0;
};
void draw_bars(Html& html, const std::string& title, const std::vector<Bar>& bars);

// The chosen filters of (C,K,K): negative cells blue and with a minus, positive ones orange.
void draw_filters(Html& html, const std::string& title, const Tensor& filters,
                  const std::vector<std::int64_t>& chosen, bool numbered);

}  // namespace reprise::clr
