// Writes HTML and SVG, element by element. Escapes all text and all attribute values.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace reprise::clr {

// Escapes &, <, > and quotes. Bytes that are not UTF-8, and control characters, become U+FFFD.
std::string html_escaped(std::string_view text);

class Html {
 public:
  using Attributes = std::initializer_list<std::pair<std::string_view, std::string>>;
  Html& open(std::string_view tag, Attributes attributes = {});
  Html& close();  // closes the innermost open element
  Html& text(std::string_view text);
  // Writes an element that contains only text. For a void
  // element, such as <img> or <rect>, only the tag.
  Html& leaf(std::string_view tag, Attributes attributes = {}, std::string_view text = {});
  // Writes column headings: `words` for columns of text,
  // then `numbers` for columns that are aligned to the right.
  Html& heads(std::initializer_list<std::string_view> words,
              std::initializer_list<std::string_view> numbers = {});
  // Writes markup as it is. It must be our own, never a stranger's.
  Html& raw(std::string_view markup);
  // Returns what was written. An open element is an internal error.
  const std::string& markup() const;

 private:
  void begin(std::string_view tag, Attributes attributes);
  std::string out_;
  std::vector<std::string> open_;
};

// Opens an element; its destructor closes it.
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
