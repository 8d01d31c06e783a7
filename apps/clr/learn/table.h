// Tables as text, and numbers as text.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/core/shape.h"

namespace reprise::clr {

// A table with aligned columns. `left` says which ones are
// aligned to the left; by default the first.
class Table {
 public:
  explicit Table(std::vector<std::string> titles, std::vector<bool> left = {});
  // Adds a row of as many cells as titles. Bytes of a name that are not printable are escaped.
  void row(std::vector<std::string> cells);
  void rule();  // a line across all columns
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;  // the titles first; an empty row is a rule
  std::vector<bool> left_;
};

std::string percent(double fraction, int digits = 1);  // 0.917 -> "91.7 %"; NaN -> "-"
std::string grouped(std::int64_t number);              // 1234567 -> "1,234,567"
std::string bytes_text(std::int64_t bytes);            // "12.3 KiB"
// Returns the indices of element `flat` of a tensor of that shape: "[2, 0, 14]".
std::string place_text(const Shape& shape, std::int64_t flat);
// Returns the shortest text that reads back as the same number, for files.
template <class Number>  // double or float
std::string exact(Number number);

}  // namespace reprise::clr
