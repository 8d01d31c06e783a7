// Draws the tape as a picture: DOT for Graphviz, SVG for a browser.
#pragma once

#include <algorithm>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "data/io/file.h"
#include "engine/autograd/autograd.h"

namespace tour {

// A box of the picture: a leaf, a constant or an op. `row` grows from the leaves to the result.
struct TapeBox {
  std::string name, label;
  bool is_op = false;
  int row = 0, column = 0;
};
struct TapeGraph {
  std::vector<TapeBox> boxes;
  std::vector<std::pair<std::size_t, std::size_t>> edges;  // from, to
};

inline TapeGraph graph_of(const reprise::Tensor& root) {
  using Kind = reprise::TapeOp::Input::Kind;
  TapeGraph graph;
  std::map<std::string, std::size_t> known;  // leaves, and results by their op
  std::vector<reprise::TapeOp> ops = reprise::tape(root);
  std::reverse(ops.begin(), ops.end());  // producers before consumers
  for (const auto& op : ops) {
    TapeBox box{"op" + std::to_string(op.id), op.op, true};
    std::vector<std::size_t> from;
    for (const auto& input : op.inputs) {
      std::string name = input.kind == Kind::result ? "op" : input.kind == Kind::leaf ? "leaf" : "constant";
      name += std::to_string(input.kind == Kind::constant ? graph.boxes.size() : input.id);
      if (known.emplace(name, graph.boxes.size()).second)  // a leaf or a constant that is met first here
        graph.boxes.push_back(
            {name, name.substr(0, name.find_first_of("0123456789")) + " " + to_string(input.shape)});
      from.push_back(known.at(name));
      box.row = std::max(box.row, graph.boxes[from.back()].row + 1);
    }
    known[box.name] = graph.boxes.size();
    for (const std::size_t f : from) graph.edges.emplace_back(f, graph.boxes.size());
    graph.boxes.push_back(box);
  }
  std::map<int, int> filled;
  for (TapeBox& box : graph.boxes) box.column = filled[box.row]++;
  return graph;
}

inline void draw_tape_dot(const reprise::Tensor& root, const std::string& file) {
  const TapeGraph graph = graph_of(root);
  std::ostringstream out;
  out << "digraph tape {\n  rankdir=TB; node [fontname=\"sans-serif\"];\n";
  for (const TapeBox& box : graph.boxes)
    out << "  " << box.name << " [label=\"" << box.label << "\", shape=" << (box.is_op ? "box" : "ellipse")
        << "];\n";
  for (const auto& [from, to] : graph.edges)
    out << "  " << graph.boxes[from].name << " -> " << graph.boxes[to].name << ";\n";
  out << "}\n";
  reprise::data::write_file_atomically(file, out.str());
}

// Draws the boxes row under row. Solid arrows show how
// values flow, dashed ones how gradients flow back.
inline void draw_tape_svg(const reprise::Tensor& root, const std::string& file) {
  constexpr int wide = 150, high = 76, box_wide = 126, box_high = 34;
  const TapeGraph graph = graph_of(root);
  int columns = 0, rows = 0;
  std::map<int, int> in_row;
  for (const TapeBox& box : graph.boxes) ++in_row[box.row];
  for (const TapeBox& box : graph.boxes)
    columns = std::max(columns, box.column + 1), rows = std::max(rows, box.row + 1);
  std::ostringstream out;
  out << "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 " << columns * wide << ' ' << rows * high
      << "' font-family='sans-serif' font-size='13' text-anchor='middle'>\n"
         "<rect width='100%' height='100%' fill='white'/>\n<defs><marker id='tip' viewBox='0 0 8 8' refX='8' "
         "refY='4' markerWidth='7' markerHeight='7' orient='auto'><path d='M0 0L8 4L0 "
         "8z'/></marker></defs>\n";
  const auto x = [&](std::size_t i) {  // each row in the middle
    const TapeBox& box = graph.boxes[i];
    return box.column * wide + (columns - in_row[box.row] + 1) * wide / 2;
  };
  const auto y = [&](std::size_t i) { return graph.boxes[i].row * high + high / 2; };
  std::map<std::pair<std::size_t, std::size_t>, int> drawn;
  for (const auto& edge : graph.edges) {
    const auto [from, to] = edge;
    const int top = y(from) + box_high / 2, bottom = y(to) - box_high / 2, aside = 30 * drawn[edge]++;
    out << "<path d='M" << x(from) - 6 + aside << ' ' << top << 'L' << x(to) - 6 + aside << ' ' << bottom
        << "' stroke='black' marker-end='url(#tip)'/>\n";
    if (graph.boxes[from].label.rfind("constant", 0) != 0)  // no gradient goes to a constant
      out << "<path d='M" << x(to) + 6 + aside << ' ' << bottom << 'L' << x(from) + 6 + aside << ' ' << top
          << "' stroke='#0072B2' stroke-dasharray='4 3' marker-end='url(#tip)'/>\n";
  }
  for (std::size_t i = 0; i < graph.boxes.size(); ++i)
    out << "<rect x='" << x(i) - box_wide / 2 << "' y='" << y(i) - box_high / 2 << "' width='" << box_wide
        << "' height='" << box_high << "' rx='" << (graph.boxes[i].is_op ? 3 : 17) << "' fill='"
        << (graph.boxes[i].is_op ? "#eeeeee" : "white") << "' stroke='black'/>\n<text x='" << x(i) << "' y='"
        << y(i) + 5 << "'>" << graph.boxes[i].label << "</text>\n";
  out << "</svg>\n";
  reprise::data::write_file_atomically(file, out.str());
}

}  // namespace tour
