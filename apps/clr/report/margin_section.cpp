// The report's section on rounding: what `clr audit margin` found.
#include <nlohmann/json.hpp>

#include "apps/clr/learn/json.h"
#include "apps/clr/learn/table.h"
#include "apps/clr/report/charts.h"
#include "apps/clr/report/page.h"
#include "engine/base/check.h"

namespace reprise::clr {
namespace {

void write_margins(Html& html, const Json& margins, const ReportedRun& run) {
  int others = 0;  // tasks that were learned anew since
  html.leaf(
      "p", {},
      fmt::format("An answer is certified if its lead over every other class exceeds what rounding in {} can "
                  "move it by, to first order: in the worst case, or with roundings that are independent "
                  "(lambda {}). Median margins and bounds are those to the nearest class.",
                  margins.at("bounds").get<std::string>(), margins.at("lambda").get<double>()));
  {
    const Opened scroll(html, "div", {{"class", "scroll"}}), table(html, "table");
    html.open("tr").heads({"task"}, {"images", "certified", "probably", "median margin", "median bound"});
    html.heads({"most of the bound from"}).close();
    for (const Json& task : margins.at("tasks")) {
      const ReportedTask* now = run.find(task.at("task"));
      if (now == nullptr || now->file.file_sha256 != task.at("sha256")) {
        ++others;
        continue;
      }
      const Opened row(html, "tr");
      const Json& c = task.at("certified");
      const double images = c.at("images");
      html.open("th", {{"scope", "row"}}).text(task.at("task").get<std::string>()).close();
      for (const std::string& cell : {c.at("images").dump(), percent(c.at("worst").get<double>() / images),
                                      percent(c.at("probable").get<double>() / images),
                                      fmt::format("{:.3g}", task.at("median_margin").get<double>()),
                                      fmt::format("{:.2g}", task.at("median_worst").get<double>())})
        html.leaf("td", {{"class", "number"}}, cell);
      const Json& first = task.at("layers").at(0);
      html.leaf("td", {},
                fmt::format("{} ({})", first.at("layer").get<std::string>(),
                            percent(first.at("share").get<double>())));
    }
  }
  if (others > 0)
    html.leaf("p", {{"class", "quiet"}},
              fmt::format("Left out, because their files have changed since clr audit margin: {}.", others));
  if (!margins.contains("variants") || others > 0) return;
  std::vector<Bar> bars;
  for (const Json& v : margins.at("variants"))
    bars.push_back({v.at("variant"),
                    fmt::format("{:.1e}, {} changed", v.at("largest_of_probable").get<double>(),
                                v.at("though_certified").dump()),
                    v.at("largest_of_probable")});
  html.leaf("p", {},
            "The largest change of a margin that a variant made, as a share of its probable bound; how many "
            "certified answers changed:");
  draw_bars(html, "Changes of margins", bars);
}

}  // namespace

void write_margin_section(Html& html, const std::vector<ReportedRun>& runs) {
  if (std::all_of(runs.begin(), runs.end(), [](const auto& r) { return r.margins.empty(); })) return;
  const Opened section(html, "section");
  html.leaf("h2", {}, "Could rounding change an answer?");
  for (const ReportedRun& run : runs) {
    if (run.margins.empty()) continue;
    if (runs.size() > 1) html.leaf("h3", {}, run.label);
    try {
      write_margins(html, Json::parse(run.margins), run);
    } catch (const Json::exception& e) {
      throw_error("{}/margins.json is damaged; run clr audit margin again\n  {}", run.path, e.what());
    }
  }
}

}  // namespace reprise::clr
