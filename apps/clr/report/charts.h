// Charts as inline SVG. Each has a title for those who cannot
// see it. Colours are CSS variables of the page.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/clr/report/html.h"
#include "engine/core/tensor.h"

namespace reprise::clr {

// The number of series with a style of their own (colour, dash
// and marker); further series repeat the styles.
inline constexpr std::size_t series_styles = 6;
// Draws the series' marker around (x, y), in the SVG's pixels.
void draw_marker(Html& html, std::size_t series, double x, double y, double radius);

// Draws a line from 0 to 100 %, with a tick at chance and a marker for each value that is present.
struct StripValue {
  std::string name;
  std::optional<double> value;  // in [0,1]
};
void draw_strip(Html& html, const std::string& title, double chance, const std::vector<StripValue>& values);

// A curve over epochs, with a marker at the best one.
struct Curve {
  std::string name;
  std::size_t series = 0;
  bool faint = false;
  std::vector<std::optional<double>> values;  // of each epoch, in [0,1]
  int best = 0;                               // the best epoch, counted from 1; 0: none
};
void draw_curves(Html& html, const std::string& title, const std::vector<Curve>& curves, double chance,
                 int width, int height);

// Draws a matrix of shares in [0,1] with the percentage in each cell, and names of rows and
// columns. `values`: row by row; a NaN is shown as the text `unmeasured`.
void draw_matrix(Html& html, const std::string& title, const std::vector<std::string>& rows,
                 const std::vector<std::string>& columns, const std::vector<double>& values,
                 const std::string& unmeasured);

// Draws bars with their names and labels beside them.
struct Bar {
  std::string name, label;
  double value = 0;
};
void draw_bars(Html& html, const std::string& title, const std::vector<Bar>& bars);

// Draws the chosen filters of a tensor (C,K,K), each scaled to its largest tap. Positive taps are
// orange, negative ones blue with a minus. `numbered`: with the number of the channel below.
void draw_filters(Html& html, const std::string& title, const Tensor& filters,
                  const std::vector<std::int64_t>& chosen, bool numbered);

}  // namespace reprise::clr
