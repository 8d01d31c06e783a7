#include "apps/clr/report/html.h"

#include <algorithm>
#include <array>

#include "engine/base/check.h"
#include "engine/base/utf8.h"

namespace reprise::clr {
namespace {

constexpr std::array void_elements = {"meta", "img",  "br",       "rect", "circle",
                                      "path", "line", "polyline", "use"};

}  // namespace

std::string html_escaped(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t n = utf8_length(text);
    const char c = text.front();
    if (n == 0 || (static_cast<unsigned char>(c) < 32 && c != '\n' && c != '\t') || c == 127)
      out += "\xEF\xBF\xBD";
    else if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (c == '\'')
      out += "&#39;";
    else
      out += text.substr(0, n);
    text.remove_prefix(std::max<std::size_t>(1, n));
  }
  return out;
}

void Html::begin(std::string_view tag, Attributes attributes) {
  out_ += '<';
  out_ += tag;
  for (const auto& [name, value] : attributes) out_ += fmt::format(" {}=\"{}\"", name, html_escaped(value));
}

Html& Html::open(std::string_view tag, Attributes attributes) {
  begin(tag, attributes);
  out_ += '>';
  open_.emplace_back(tag);
  return *this;
}

Html& Html::close() {
  REPRISE_INVARIANT(!open_.empty(), "html: nothing is open");
  static constexpr std::array lines = {"tr", "p",  "section", "svg", "table", "li",
                                       "h2", "h3", "details", "div", "head",  "figure"};
  out_ += fmt::format("</{}>{}", open_.back(),
                      std::find(lines.begin(), lines.end(), open_.back()) != lines.end() ? "\n" : "");
  open_.pop_back();
  return *this;
}

Html& Html::text(std::string_view text) {
  out_ += html_escaped(text);
  return *this;
}

Html& Html::leaf(std::string_view tag, Attributes attributes, std::string_view text) {
  if (std::find(void_elements.begin(), void_elements.end(), tag) == void_elements.end())
    return open(tag, attributes).text(text).close();
  begin(tag, attributes);
  out_ += tag == "meta" || tag == "img" || tag == "br" ? ">" : "/>";
  return *this;
}

Html& Html::heads(std::initializer_list<std::string_view> words,
                  std::initializer_list<std::string_view> numbers) {
  for (const auto word : words) leaf("th", {{"scope", "col"}}, word);
  for (const auto number : numbers) leaf("th", {{"scope", "col"}, {"class", "number"}}, number);
  return *this;
}

Html& Html::raw(std::string_view markup) {
  out_ += markup;
  return *this;
}

const std::string& Html::markup() const {
  REPRISE_INVARIANT(open_.empty(), "html: <{}> is open", open_.back());
  return out_;
}

}  // namespace reprise::clr
