// Reads back what the program prints and writes: tables, CSV files, pages and their charts.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace reprise::test {

using Cells = std::vector<std::string>;
using Rows = std::vector<Cells>;

// Returns the lines of a printed table, each divided at two or more blanks; empty cells are left out.
Rows printed_rows(const std::string& text);
// Returns the lines of a CSV file whose fields hold no commas.
Rows csv_cells(const std::string& text);
// Returns the texts of the cells of every row of an HTML table, pictures left out.
Rows html_rows(const std::string& markup);
// Returns the part between two texts; empty if one of them is absent.
std::string between(const std::string& text, const std::string& begin, const std::string& end);
// Returns the part of a page from a picture's title on, to the picture's end.
std::string picture_called(const std::string& page, const std::string& title);
// "62.5 %" for 0.625, as tables show shares.
std::string shown_share(double share, int digits = 1);
// "1,234,567", as tables show counts.
std::string shown_count(long long count);

// An element of a page that holds text or nothing.
struct Element {
  std::string name, text;
  std::map<std::string, std::string> attributes;
  double number(const std::string& attribute) const;
  std::string at(const std::string& attribute) const;                   // empty where there is none
  bool is(const std::string& tag, const std::string& kind = {}) const;  // kind: the class
};
// Returns the elements in their order. `text` reaches from the tag to the next one.
std::vector<Element> elements_of(const std::string& markup);

}  // namespace reprise::test
