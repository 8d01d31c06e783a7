// Learning curves as a picture.
#pragma once

#include <array>
#include <sstream>
#include <string>
#include <vector>

#include "data/io/file.h"

namespace tour {

struct Curve {
  std::string name;
  std::vector<double> losses;  // one for every step

  // Returns the mean loss of the `window` steps that end
  // with this one, because single batches vary much.
  double smooth(int step, int window) const {
    double sum = 0;
    for (int i = step - window; i < step; ++i) sum += losses[static_cast<std::size_t>(i)];
    return sum / window;
  }
};

// Draws up to three smoothed curves of `steps` steps, with losses up to
// `top`, into an SVG file. The lines are solid, dashed and dotted, so that
// they differ without colour. Throws Error if the file cannot be written.
inline void draw_curves(const std::vector<Curve>& curves, int steps, int window, double top,
                        const std::string& file) {
  constexpr std::array dashes = {"none", "8 4", "2 3"}, colours = {"#0072B2", "#D55E00", "#000000"};
  std::ostringstream out;
  out << "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 640 300' font-family='sans-serif' "
         "font-size='14'>\n<rect width='640' height='300' fill='white'/>\n"
         "<path d='M40 20V270H620' fill='none' stroke='black'/>\n<text x='50' y='24'>loss</text><text x='8' "
         "y='28'>"
      << top << "</text><text x='22' y='274'>0</text><text x='550' y='290'>step " << steps << "</text>\n";
  for (std::size_t c = 0; c < curves.size(); ++c) {
    out << "<g stroke-width='2' stroke='" << colours[c] << "' stroke-dasharray='" << dashes[c]
        << "'>\n<polyline fill='none' points='";
    for (int step = window; step <= steps; ++step)
      out << 40 + 580.0 * step / steps << ',' << 270 - 250 * curves[c].smooth(step, window) / top << ' ';
    out << "'/>\n<path d='M430 " << 35 + 20 * c << "h40'/></g>\n<text x='480' y='" << 40 + 20 * c << "'>"
        << curves[c].name << "</text>\n";
  }
  out << "</svg>\n";
  reprise::data::write_file_atomically(file, out.str());
}

}  // namespace tour
