#include "apps/clr/report/page.h"

#include <algorithm>
#include <cmath>

#include "apps/clr/learn/recipe.h"
#include "apps/clr/learn/table.h"
#include "apps/clr/report/charts.h"
#include "apps/clr/report/html.h"
#include "apps/clr/report/map_section.h"
#include "apps/clr/report/style.h"
#include "engine/base/check.h"

namespace reprise::clr {
namespace {

using Runs = std::vector<ReportedRun>;

void write_legend(Html& html, const Runs& runs) {
  const Opened list(html, "ul", {{"class", "legend"}});
  for (std::size_t r = 0; r < runs.size(); ++r) {
    const Opened item(html, "li");
    {
      const Opened svg(
          html, "svg",
          {{"width", "14"}, {"height", "14"}, {"viewBox", "0 0 14 14"}, {"aria-hidden", "true"}});
      draw_marker(html, r, 7, 7, 5);
    }
    html.leaf("span", {}, runs[r].label);
  }
  const Opened item(html, "li");
  {
    const Opened svg(html, "svg",
                     {{"width", "14"}, {"height", "14"}, {"viewBox", "0 0 14 14"}, {"aria-hidden", "true"}});
    html.leaf("line", {{"x1", "7"}, {"y1", "0"}, {"x2", "7"}, {"y2", "14"}, {"class", "chance"}});
  }
  html.leaf("span", {}, "chance");
}

void write_lead(Html& html, const Runs& runs, const std::vector<std::string>& tasks,
                const MeanAccuracy& means) {
  html.leaf("h1", {},
            fmt::format("{} task{} on one {}", tasks.size(), tasks.size() == 1 ? "" : "s",
                        runs[0].record.backbone.arch));
  std::string text;
  if (means.tasks > 0) {
    for (std::size_t r = 0; r < runs.size(); ++r)
      text += fmt::format("{}{} {}", r == 0 ? "" : ", ", runs[r].label, percent(means.runs[r]));
    text = fmt::format("Accuracy, mean of {} task{}: {}; guessing gives {}.", means.tasks,
                       means.tasks == 1 ? "" : "s", text, percent(means.chance));
  }
  for (const auto& run : runs)
    if (const auto lost = run.forgetting())
      text += fmt::format(" Forgotten with {}: {}.", run.label, percent(*lost));
  html.leaf("p", {{"class", "lead"}}, text);
}

void write_overview(Html& html, const Runs& runs, const std::vector<std::string>& tasks,
                    const MeanAccuracy& means) {
  const Opened section(html, "section");
  html.leaf("h2", {}, "Accuracy");
  write_legend(html, runs);
  const Opened scroll(html, "div", {{"class", "scroll"}});
  const Opened table(html, "table");
  {
    const Opened head(html, "thead"), row(html, "tr");
    html.heads({"task"}, {"classes", "chance"});
    for (const auto& run : runs) html.heads({}, {run.label});
    html.heads({"0 to 100 %"});
  }
  {
    const Opened body(html, "tbody");
    for (std::size_t t = 0; t < tasks.size(); ++t) {
      const ReportedTask& some = any_of(runs, tasks[t]);
      const Opened row(html, "tr");
      html.open("th", {{"scope", "row"}})
          .leaf("a", {{"href", fmt::format("#task{}", t + 1)}}, tasks[t])
          .close();
      html.leaf("td", {{"class", "number"}}, std::to_string(some.file.classes.size()))
          .leaf("td", {{"class", "number"}}, percent(some.chance));
      std::vector<StripValue> values;
      for (const auto& run : runs) {
        const ReportedTask* task = run.find(tasks[t]);
        values.push_back({run.label, task != nullptr ? task->accuracy : std::nullopt});
        html.leaf("td", {{"class", "number"}}, values.back().value ? percent(*values.back().value) : "–");
      }
      const Opened cell(html, "td");
      draw_strip(html, "Accuracy of " + tasks[t], some.chance, values);
    }
  }
  if (means.tasks == 0) return;
  const Opened foot(html, "tfoot"), row(html, "tr");
  html.leaf("th", {{"scope", "row"}}, fmt::format("mean of {}", means.tasks))
      .leaf("td", {})
      .leaf("td", {{"class", "number"}}, percent(means.chance));
  std::vector<StripValue> values;
  for (std::size_t r = 0; r < runs.size(); ++r) {
    values.push_back({runs[r].label, means.runs[r]});
    html.leaf("td", {{"class", "number"}}, percent(means.runs[r]));
  }
  const Opened cell(html, "td");
  draw_strip(html, "Mean accuracy", means.chance, values);
}

void write_curves(Html& html, const Runs& runs, const std::vector<std::string>& tasks) {
  const Opened section(html, "section");
  html.leaf("h2", {}, "Learning curves");
  html.leaf("p", {{"class", "quiet"}},
            "Validation accuracy in percent over the epochs; the mark is the epoch that was kept, the dotted "
            "line is chance.");
  write_legend(html, runs);
  const Opened grid(html, "div", {{"class", "small-multiples"}});
  for (const auto& name : tasks) {
    std::vector<Curve> curves;
    for (std::size_t r = 0; r < runs.size(); ++r) {
      const ReportedTask* task = runs[r].find(name);
      if (task == nullptr) continue;
      Curve curve{runs[r].label, r, false, {}, task->file.best_epoch};
      for (const LoggedEpoch& e : task->log) curve.values.push_back(e.val_accuracy);
      curves.push_back(std::move(curve));
    }
    const Opened figure(html, "figure");
    html.leaf("figcaption", {}, name);
    draw_curves(html, "Validation accuracy of " + name, curves, any_of(runs, name).chance, 200, 120);
  }
}

// Writes ACC and BWT as Lopez-Paz and Ranzato (2017) define them, and the average so far.
void write_measures(Html& html, const ReportedRun& run) {
  double now = 0, change = 0, learned = 0;
  std::vector<std::string> so_far;
  for (const ReportedTask& task : run.tasks) {
    if (!task.learned || !task.now) return;
    now += *task.now;
    if (&task != &run.tasks.back()) change += *task.now - *task.learned;
    learned += *task.learned;
    so_far.push_back(percent(learned / static_cast<double>(so_far.size() + 1)));
  }
  const auto n = static_cast<double>(run.tasks.size());
  html.leaf("p", {},
            fmt::format(
                "ACC {}, BWT {}. FWT is undefined: no task has a head before it is learned. Average so far, "
                "after each task: {}.",
                percent(now / n), n > 1 ? percent(change / (n - 1)) : "–", fmt::join(so_far, ", ")));
}

void write_forgetting(Html& html, const Runs& runs) {
  const Opened section(html, "section");
  html.leaf("h2", {}, "Remembering");
  for (const auto& run : runs) {
    if (runs.size() > 1) html.leaf("h3", {}, run.label);
    const std::size_t n = run.tasks.size();
    if (std::none_of(run.tasks.begin(), run.tasks.end(), [](const auto& t) { return t.now.has_value(); })) {
      html.leaf("p", {{"class", "quiet"}},
                "Not measured: clr eval evaluates every task again after the last one.");
      continue;
    }
    constexpr std::size_t most = 14;
    if (n >= 2 && n <= most) {
      std::vector<std::string> names;
      std::vector<double> cells(n * n, std::nan(""));
      for (std::size_t t = 0; t < n; ++t) {
        names.push_back(run.tasks[t].file.task);
        if (run.tasks[t].learned) cells[t * n + t] = *run.tasks[t].learned;
        if (run.tasks[t].now) cells[(n - 1) * n + t] = *run.tasks[t].now;
      }
      const Opened figure(html, "figure");
      html.leaf("figcaption", {},
                "Accuracy in percent on each task (columns) after learning one more task (rows, downwards). "
                "It was measured when a task was learned and after the last task, not in between (·).");
      draw_matrix(html, "Accuracy matrix of " + run.label, names, names, cells, "·");
    }
    write_measures(html, run);
    if (n >= 2 && n <= most) continue;
    const double mean = run.forgetting().value_or(0), worst = run.worst_forgetting();
    html.leaf("p", {},
              worst == 0 ? fmt::format(
                               "After the last of {} task{} every one is as accurate as when it was learned.",
                               n, n == 1 ? "" : "s")
                         : fmt::format("After the last of {} task{} the accuracy is lower by {} on average; "
                                       "no task changed by more than {}.",
                                       n, n == 1 ? "" : "s", percent(mean), percent(worst)));
  }
}

void write_cost(Html& html, const Runs& runs) {
  const Opened section(html, "section");
  html.leaf("h2", {}, "What a task costs");
  html.leaf("p", {},
            "A task stores only its own numbers; all tasks share the backbone. The share is a task's bytes "
            "divided by those of the whole network, which the task would need by itself.");
  const Opened scroll(html, "div", {{"class", "scroll"}});
  const Opened table(html, "table");
  {
    const Opened head(html, "thead"), row(html, "tr");
    html.heads({"method"}, {"filters", "convolutions", "batch norm", "statistics", "head", "a task",
                            "whole network", "share"});
  }
  for (const auto& run : runs) {
    const auto n = static_cast<std::int64_t>(run.tasks.size());
    layers::TaskCost sum = run.tasks[0].cost;
    std::int64_t bytes = 0, whole = 0, head = 0;
    for (const auto& task : run.tasks)
      bytes += task.cost.bytes(), whole += task.cost.network_bytes(), head += task.cost.head;
    const Opened row(html, "tr");
    html.leaf("th", {{"scope", "row"}}, run.label);
    for (const std::int64_t v :
         {sum.reprogramming, sum.convolutions, sum.batch_norm, sum.statistics, head / n})
      html.leaf("td", {{"class", "number"}}, grouped(v));
    html.leaf("td", {{"class", "number"}}, bytes_text(bytes / n))
        .leaf("td", {{"class", "number"}}, bytes_text(whole / n));
    html.leaf("td", {{"class", "number share"}},
              fmt::format("{} / {} = {}", grouped(bytes / n), grouped(whole / n),
                          percent(static_cast<double>(bytes) / static_cast<double>(whole), 2)));
  }
}

void fact(Html& html, const char* name, const std::string& value) {
  if (!value.empty()) html.leaf("dt", {}, name).leaf("dd", {}, value);
}

// Quotes an argument for a shell, if it needs quotes.
std::string shell_word(const std::string& word) {
  if (!word.empty() &&
      word.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-") ==
          std::string::npos)
    return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

void write_origin(Html& html, const Runs& runs) {
  const Opened section(html, "section");
  html.leaf("h2", {}, "Where it comes from");
  for (const auto& run : runs) {
    if (runs.size() > 1) html.leaf("h3", {}, run.label);
    const auto& invocations = run.record.invocations;
    const Invocation last = invocations.empty() ? Invocation() : invocations.back();
    const RecordedBackbone& backbone = run.record.backbone;
    {
      const Opened list(html, "dl");
      fact(html, "run", run.path);
      fact(html, "backbone", fmt::format("{}, {} parameters", backbone.arch, grouped(backbone.parameters)));
      fact(html, "backbone's identity", backbone.identity);
      fact(html, "SHA-256 of its file", backbone.file_sha256);
      std::string recipe;
      for (const auto& [name, value] : recorded_fields(run.record.recipe))
        if (!value.empty()) recipe += fmt::format("{}{} {}", recipe.empty() ? "" : ", ", name, value);
      fact(html, "recipe", recipe);
      fact(html, "program", fmt::format("clr {}, {}, {}", last.version, last.compiler, last.flags));
      fact(html, "computed on",
           fmt::format("{}, instruction set {}, {} threads, Winograd {}, bf16 order {}", last.device,
                       last.instruction_set, last.threads, last.winograd,
                       last.bf16_order.empty() ? "-" : last.bf16_order));
      fact(html, "image decoders", last.decoders);
      fact(html, "begun, ended",
           fmt::format("{}, {}", invocations.empty() ? "" : invocations.front().started, last.ended));
    }
    std::vector<std::string> commands;
    for (const Invocation& invocation : invocations) {
      std::vector<std::string> words;
      for (const std::string& word : invocation.argv) words.push_back(shell_word(word));
      std::string command = fmt::format("{}", fmt::join(words, " "));
      if (!words.empty() && std::find(commands.begin(), commands.end(), command) == commands.end())
        commands.push_back(std::move(command));
    }
    if (!commands.empty()) {
      html.leaf(
          "p", {},
          "These commands give the same task files, to the byte, on a machine with this instruction set:");
      html.leaf("pre", {}, fmt::format("{}", fmt::join(commands, "\n")));
    }
    html.open("details").leaf("summary", {}, "Digests of the data");
    {
      const Opened scroll(html, "div", {{"class", "scroll"}});
      const Opened table(html, "table");
      html.open("tr").heads({"task", "split", "SHA-256 of labels and pixels"}).close();
      for (const auto& task : run.tasks)
        for (const auto& [split, digest] : task.file.data_digests)
          html.open("tr").leaf("td", {}, task.file.task).leaf("td", {}, split).leaf("td", {}, digest).close();
    }
    html.close();
  }
}

}  // namespace

std::string report_page(const Runs& runs) {
  REPRISE_INVARIANT(!runs.empty(), "a report of no run");
  const auto tasks = all_tasks(runs);
  const MeanAccuracy means = mean_accuracy(runs);
  Html html;
  html.raw("<!DOCTYPE html>\n");
  html.open("html", {{"lang", "en"}});
  {
    const Opened head(html, "head");
    html.leaf("meta", {{"charset", "utf-8"}})
        .leaf("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}});
    html.leaf("title", {}, fmt::format("clr report: {} task{}", tasks.size(), tasks.size() == 1 ? "" : "s"));
    html.open("style").raw(report_style).close();
  }
  {
    const Opened body(html, "body"), main(html, "main");
    write_lead(html, runs, tasks, means);
    write_overview(html, runs, tasks, means);
    write_curves(html, runs, tasks);
    write_forgetting(html, runs);
    write_map_section(html, runs);
    write_cost(html, runs);
    write_margin_section(html, runs);
    {
      const Opened section(html, "section");
      html.leaf("h2", {}, tasks.size() == 1 ? "The task" : "Task by task");
      TaskSectionOptions options;
      options.open = tasks.size() == 1;
      // Few enough pictures to keep the page at a few megabytes.
      if (tasks.size() > 20) options.thumbnail_size = 48;
      options.pictures = std::clamp<std::size_t>(480 / (2 * tasks.size() * runs.size()), 1, 6);
      for (std::size_t t = 0; t < tasks.size(); ++t) {
        options.number = static_cast<int>(t) + 1;
        write_task_section(html, tasks[t], runs, options);
      }
    }
    write_origin(html, runs);
  }
  html.close();
  return html.markup();
}

}  // namespace reprise::clr
