#include "apps/clr/learn/table.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "engine/base/check.h"
#include "engine/base/utf8.h"

namespace reprise::clr {
namespace {

// Returns the columns that a UTF-8 text takes, if each character takes one.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace

Table::Table(std::vector<std::string> titles, std::vector<bool> left) : left_(std::move(left)) {
  const std::size_t given = left_.size();
  left_.resize(titles.size(), false);
  if (given == 0 && !left_.empty()) left_[0] = true;
  rows_.push_back(std::move(titles));
}

void Table::row(std::vector<std::string> cells) {
  REPRISE_INVARIANT(cells.size() == left_.size(), "a row of {} cells in a table of {} columns", cells.size(),
                    left_.size());
  for (std::string& cell : cells) cell = escaped(cell);
  rows_.push_back(std::move(cells));
}

void Table::rule() {
  rows_.emplace_back();
}

std::string Table::text() const {
  std::vector<std::size_t> widths(left_.size(), 0);
  for (const auto& row : rows_)
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], width_of(row[c]));
  std::size_t total = 0;
  for (const std::size_t w : widths) total += w + 2;
  std::string text;
  for (const auto& row : rows_) {
    std::string line = row.empty() ? std::string(total - 2, '-') : "";
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string space(widths[c] - width_of(row[c]), ' ');
      line += (c == 0 ? "" : "  ") + (left_[c] ? row[c] + space : space + row[c]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string percent(double fraction, int digits) {
  return std::isnan(fraction) ? "-" : fmt::format("{:.{}f} %", 100 * fraction, digits);
}

std::string grouped(std::int64_t number) {
  std::string text = std::to_string(number);
  const std::ptrdiff_t first = number < 0 ? 1 : 0;
  for (auto i = static_cast<std::ptrdiff_t>(text.size()) - 3; i > first; i -= 3)
    text.insert(static_cast<std::size_t>(i), ",");
  return text;
}

std::string bytes_text(std::int64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  const char* const units[] = {"KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; value >= 1023.95 && unit < 3; ++unit) value /= 1024;
  return fmt::format("{:.1f} {}", value, units[unit]);
}

std::string place_text(const Shape& shape, std::int64_t flat) {
  std::string text;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    text = std::to_string(flat % shape[i]) + (text.empty() ? "" : ", ") + text;
    flat /= shape[i];
  }
  return "[" + text + "]";
}

template <class Number>
std::string exact(Number number) {
  char buffer[64];
  const auto [end, ec] = std::to_chars(buffer, buffer + sizeof buffer, number);
  REPRISE_INVARIANT(ec == std::errc{}, "a number that does not fit into 64 characters");
  return {buffer, end};
}
template std::string exact(double);
template std::string exact(float);

}  // namespace reprise::clr
