#include "apps/clr/report/map_section.h"

#include <fmt/format.h>

#include <map>

#include "apps/clr/learn/table.h"
#include "apps/clr/learn/task_log.h"
#include "apps/clr/report/charts.h"

namespace reprise::clr {
namespace {

double number(const std::string& text) {
  return std::strtod(text.c_str(), nullptr);
}

void write_table(Html& html, const std::vector<std::vector<std::string>>& rows) {
  const Opened scroll(html, "div", {{"class", "scroll"}});
  const Opened table(html, "table");
  html.open("tr")
      .heads({"task", "split"}, {"images", "told", "not told", "task right", "in first 3",
                                 "other task, same name", "refused", "by colour", "by entropy"})
      .close();
  for (const auto& row : rows) {
    const Opened line(html, "tr");
    html.leaf("th", {{"scope", "row"}}, row[0])
        .leaf("td", {}, row[1])
        .leaf("td", {{"class", "number"}}, row[2]);
    for (std::size_t i = 3; i < row.size(); ++i)
      html.leaf("td", {{"class", "number"}}, percent(number(row[i])));
  }
}

// Draws which share of a task's images (rows) was taken for each task (columns).
void write_confusions(Html& html, const ReportedRun& run, const std::map<std::string, double>& images) {
  std::vector<std::string> from, to;
  std::vector<double> cells;
  for (const auto& row : csv_rows(run.path + "/taskmap-confusions.csv", 3)) {
    const auto known = images.find(row[0]);
    if (known == images.end()) return;  // not of the same evaluation
    if (from.empty() || from.back() != row[0]) from.push_back(row[0]);
    if (from.size() == 1) to.push_back(row[1]);
    cells.push_back(number(row[2]) / known->second);
  }
  constexpr std::size_t most = 14;
  if (to.size() < 2 || to.size() > most || cells.size() != from.size() * to.size()) return;
  const Opened figure(html, "figure");
  html.leaf("figcaption", {},
            "Of each task's images (rows), the percentage that was taken for each task (columns).");
  draw_matrix(html, "Confusions of tasks in " + run.label, from, to, cells, "·");
}

}  // namespace

void write_map_section(Html& html, const std::vector<ReportedRun>& runs) {
  for (const auto& run : runs) {
    const auto rows = csv_rows(run.path + "/taskmap.csv", 11);
    if (rows.empty()) continue;
    const Opened section(html, "section");
    html.leaf("h2", {}, "Without being told the task" + (runs.size() > 1 ? ": " + run.label : ""));
    html.leaf(
        "p", {{"class", "quiet"}},
        "Accuracy if the task is told, and if the run's task map infers it. Beside it: how often the task is "
        "right by the image's colours only, and by the least entropy of all tasks' networks.");
    write_table(html, rows);
    std::map<std::string, double> images;
    for (const auto& row : rows) images[row[0]] = number(row[2]);
    write_confusions(html, run, images);
  }
}

}  // namespace reprise::clr
