#include "tests/apps/figures.h"

#include <cstdio>
#include <sstream>
#include <stdexcept>

namespace reprise::test {

Rows printed_rows(const std::string& text) {
  Rows rows;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    Cells& cells = rows.emplace_back();
    for (std::size_t at = line.find_first_not_of(' '); at < line.size();) {
      const std::size_t end = std::min(line.find("  ", at), line.size());
      cells.push_back(line.substr(at, end - at));
      at = line.find_first_not_of(' ', end);
    }
  }
  return rows;
}

Rows csv_cells(const std::string& text) {
  Rows rows;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    Cells& cells = rows.emplace_back(1);
    for (const char c : line)
      if (c == ',')
        cells.emplace_back();
      else
        cells.back() += c;
  }
  return rows;
}

std::string between(const std::string& text, const std::string& begin, const std::string& end) {
  const std::size_t from = text.find(begin);
  if (from == std::string::npos) return {};
  const std::size_t to = text.find(end, from + begin.size());
  return to == std::string::npos ? "" : text.substr(from + begin.size(), to - from - begin.size());
}

Rows html_rows(const std::string& markup) {
  Rows rows;
  bool in_cell = false, in_picture = false;
  for (const Element& e : elements_of(markup)) {
    if (e.name == "svg" || e.name == "/svg") in_picture = e.name == "svg";
    if (e.name == "tr") rows.emplace_back();
    if (e.name == "td" || e.name == "th") rows.back().emplace_back(), in_cell = true;
    if (e.name == "/td" || e.name == "/th") in_cell = false;
    if (in_cell && !in_picture && e.text != "\n") rows.back().back() += e.text;
  }
  return rows;
}

std::string picture_called(const std::string& page, const std::string& title) {
  return between(page, "<title>" + title, "</svg>");
}

std::string shown_share(double share, int digits) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f %%", digits, 100 * share);
  return text;
}

std::string shown_count(long long count) {
  std::string text = std::to_string(count);
  for (std::size_t left = text.size(); left > 3; left -= 3) text.insert(left - 3, ",");
  return text;
}

double Element::number(const std::string& attribute) const {
  return std::stod(attributes.at(attribute));
}

std::string Element::at(const std::string& attribute) const {
  const auto found = attributes.find(attribute);
  return found == attributes.end() ? "" : found->second;
}

bool Element::is(const std::string& tag, const std::string& kind) const {
  return name == tag && (kind.empty() || at("class") == kind);
}

std::vector<Element> elements_of(const std::string& markup) {
  std::vector<Element> elements;
  for (std::size_t at = markup.find('<'); at < markup.size();) {
    const std::size_t end = markup.find('>', at), next = std::min(markup.find('<', end), markup.size());
    if (end == std::string::npos) throw std::runtime_error("a tag without an end");
    const std::string tag = markup.substr(at + 1, end - at - 1);
    Element& e = elements.emplace_back();
    e.name = tag.substr(0, tag.find(' '));
    e.text = markup.substr(end + 1, next - end - 1);
    for (std::size_t eq = tag.find("=\""); eq != std::string::npos; eq = tag.find("=\"", eq + 2)) {
      const std::size_t begin = tag.rfind(' ', eq) + 1, quote = tag.find('"', eq + 2);
      e.attributes[tag.substr(begin, eq - begin)] = tag.substr(eq + 2, quote - eq - 2);
    }
    at = next;
  }
  return elements;
}

}  // namespace reprise::test
