// HTML and SVG, element by element. All text and all attribute values are escaped.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace reprise::clr {

// Bytes that are not UTF-8, and control characters, become U+FFFD.
std::string html_escaped(std::string_view text);

class Html {
 public:
  using Attributes = std::initializer_list<std::pair<std::string_view, std::string>>;
  Html& open(std::string_view tag, Attributes attributes = {});
  Html& close();  // the innermost
  Html& text(std::string_view text);
  // An element with text alone; of a void element, or an SVG one without text, the tag alone.
  Html& leaf(std::string_view tag, Attributes attributes = {}, std::string_view text = {});
  // Heads of columns: those named, and then those of numbers.
  Html& heads(std::initializer_list<std::string_view> words,
              std::initializer_list<std::string_view> numbers = {});
  Html& raw(std::string_view markup);  // ours, never a stranger's
  // What was written. An internal error while an element is open.
  const std::string& markup() const;

 private:
  void begin(std::string_view tag, Attributes attributes);
  std::string out_;
  std::vector<std::string> open_;
};

// Opens an element, and closes it when it goes.
class Opened {
 public:
  Opened(Html& html, std::string_view tag, Html::Attributes attributes = {}) : html_(html) {
    html.open(tag, attributes);
  }
  ~Opened() { html_.close(); }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;

 private:
  Html& html_;
};

}  // namespace reprise::clr
