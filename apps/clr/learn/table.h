// Tables of text, and how numbers look in them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/core/shape.h"

namespace reprise::clr {

// Aligns the first column to the left, the others to the right unless `left` says otherwise.
class Table {
 public:
  explicit Table(std::vector<std::string> titles, std::vector<bool> left = {});
  // As many cells as titles. Names may hold any bytes: what is not printable is escaped.
  void row(std::vector<std::string> cells);
  void rule();  // a line across
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;  // the titles first; an empty row is a rule
  std::vector<bool> left_;
};

std::string percent(double fraction, int digits = 1);  // 0.917 -> "91.7 %"; NaN -> "-"
std::string grouped(std::int64_t number);              // 1234567 -> "1,234,567"
std::string bytes_text(std::int64_t bytes);            // "12.3 KiB"
// "[2, 0, 14]": the place of element `flat` of a tensor of that shape.
std::string place_text(const Shape& shape, std::int64_t flat);
// The shortest text that reads back as the same number: for files.
template <class Number>  // double or float
std::string exact(Number number);

}  // namespace reprise::clr
