// The report's section of one task: curves, confusions, mistakes, filters.
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "apps/clr/learn/table.h"
#include "apps/clr/report/charts.h"
#include "apps/clr/report/page.h"
#include "apps/clr/report/thumbnails.h"
#include "engine/base/check.h"

namespace reprise::clr {
namespace {

constexpr std::size_t most_classes_in_a_matrix = 20;

std::string shown(const std::optional<double>& value) {
  return value ? percent(*value) : "–";
}

void write_curves(Html& html, const std::string& name, const std::vector<ReportedRun>& runs, double chance) {
  std::vector<Curve> curves;
  std::vector<std::string> described;
  for (std::size_t r = 0; r < runs.size(); ++r) {
    const ReportedTask* task = runs[r].find(name);
    if (task == nullptr || task->log.empty()) continue;
    Curve train{runs[r].label, r, true, {}, 0}, val{runs[r].label, r, false, {}, task->file.best_epoch};
    for (const LoggedEpoch& e : task->log) {
      train.values.emplace_back(e.train_accuracy);
      val.values.push_back(e.val_accuracy);
    }
    described.push_back(fmt::format("{}: {} epochs, best {} with {}", runs[r].label, task->log.size(),
                                    task->file.best_epoch, shown(task->file.val_accuracy)));
    curves.push_back(std::move(train));
    curves.push_back(std::move(val));
  }
  if (curves.empty()) return;
  const Opened figure(html, "figure");
  html.leaf("figcaption", {},
            "Accuracy in percent: validation strong, training faint, the mark at the best epoch, the dotted "
            "line at chance.");
  draw_curves(html, fmt::format("Learning curves of {}. {}", name, fmt::join(described, "; ")), curves,
              chance, 430, 220);
}

void write_confusion(Html& html, const ReportedTask& task) {
  const auto& classes = task.file.classes;
  std::map<std::string, std::size_t> place;
  for (std::size_t c = 0; c < classes.size(); ++c) place.emplace(classes[c], c);
  const std::size_t n = classes.size();
  std::vector<double> counts(n * n, 0), rows(n, 0);
  for (const Guess& g : task.guesses) {
    const auto t = place.find(g.truth), p = place.find(g.guess);
    if (t == place.end() || p == place.end()) continue;
    counts[t->second * n + p->second] += 1;
    rows[t->second] += 1;
  }
  if (n <= most_classes_in_a_matrix) {
    for (std::size_t i = 0; i < n * n; ++i) counts[i] = rows[i / n] > 0 ? counts[i] / rows[i / n] : 0;
    const Opened figure(html, "figure");
    html.leaf("figcaption", {},
              fmt::format(
                  "How many percent of each class's {} images (rows) were predicted as each class (columns).",
                  task.guessed_split));
    draw_matrix(html, fmt::format("Confusion matrix of {}", task.file.task), classes, classes, counts, "");
    return;
  }
  std::vector<std::size_t> order(n * n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::erase_if(order, [&](std::size_t i) { return i / n == i % n || counts[i] == 0; });
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return counts[a] > counts[b]; });
  order.resize(std::min<std::size_t>(order.size(), 12));
  html.leaf("p", {}, fmt::format("{} classes are too many for a matrix; the most frequent confusions:", n));
  const Opened table(html, "table");
  html.open("tr").heads({"is", "was taken for"}, {"images"}).close();
  for (const std::size_t i : order)
    html.open("tr")
        .leaf("td", {}, classes[i / n])
        .leaf("td", {}, classes[i % n])
        .leaf("td", {{"class", "number"}}, fmt::format("{:.0f} of {:.0f}", counts[i], rows[i / n]))
        .close();
}

void write_pictures(Html& html, const char* heading, const std::vector<const Guess*>& guesses, int size) {
  if (guesses.empty()) return;
  html.leaf("h4", {}, heading);
  const Opened list(html, "ul", {{"class", "pictures"}});
  for (const Guess* g : guesses) {
    const Opened item(html, "li");
    const std::string image = thumbnail(g->path, size);
    const bool right = g->truth == g->guess;
    if (image.empty())
      html.leaf("span", {{"class", "absent"}}, "image not found");
    else
      html.leaf(
          "img",
          {{"src", image}, {"width", "64"}, {"height", "64"}, {"alt", "an image of class " + g->truth}});
    html.leaf("span", {}, fmt::format("{} {}", right ? "✓" : "✗", g->guess));
    html.leaf("span", {{"class", "quiet"}},
              right ? fmt::format("{:.0f} %", 100 * g->probability)
                    : fmt::format("{:.0f} %, is {}", 100 * g->probability, g->truth));
  }
}

void write_examples(Html& html, const ReportedTask& task, const TaskSectionOptions& options) {
  std::vector<const Guess*> wrong, sample;
  for (const Guess& g : task.guesses)
    if (g.truth != g.guess) wrong.push_back(&g);
  std::stable_sort(wrong.begin(), wrong.end(),
                   [](auto* a, auto* b) { return a->probability > b->probability; });
  const std::size_t mistakes = wrong.size();
  wrong.resize(std::min(wrong.size(), options.pictures));
  const std::size_t n = task.guesses.size(), step = std::max<std::size_t>(1, n / options.pictures);
  for (std::size_t i = 0; i < n && sample.size() < options.pictures; i += step)
    sample.push_back(&task.guesses[i]);
  write_pictures(html, "Some images, and what they were taken for", sample, options.thumbnail_size);
  if (mistakes == 0)
    html.leaf("p", {}, fmt::format("No mistake in {} images.", n));
  else
    write_pictures(html, fmt::format("The surest of {} mistakes", mistakes).c_str(), wrong,
                   options.thumbnail_size);
}

void write_filters(Html& html, const ReportedTask& task) {
  if (task.filters.empty()) return;
  html.leaf("h4", {}, "What was reprogrammed");
  html.leaf("p", {},
            "How far the filters after each convolution have moved from the identity, from which they "
            "started: the mean over the channels of the norm of the difference.");
  std::vector<Bar> bars;
  for (const LearnedFilter& f : task.filters)
    bars.push_back({f.layer, fmt::format("{:.3f}", f.distance), f.distance});
  {
    const Opened figure(html, "figure");
    draw_bars(html, fmt::format("Distance from the identity, by layer, of {}", task.file.task), bars);
  }
  // The layer whose filters moved most, then the first layer; of each the filters that moved most.
  const auto far = std::max_element(task.filters.begin(), task.filters.end(),
                                    [](const auto& a, const auto& b) { return a.distance < b.distance; });
  std::vector<const LearnedFilter*> drawn{&*far};
  if (far != task.filters.begin()) drawn.push_back(&task.filters.front());
  for (const LearnedFilter* f : drawn) {
    const std::int64_t channels = f->weight.dim(0), taps = f->weight.dim(1) * f->weight.dim(1);
    Tensor moved = f->weight.clone();  // filter - identity
    std::vector<double> distance(static_cast<std::size_t>(channels), 0);
    for (std::int64_t c = 0; c < channels; ++c) {
      float* w = moved.mutable_data<float>() + c * taps;
      w[taps / 2] -= 1;
      for (std::int64_t k = 0; k < taps; ++k)
        distance[static_cast<std::size_t>(c)] += std::pow(static_cast<double>(w[k]), 2);
    }
    std::vector<std::int64_t> order(static_cast<std::size_t>(channels));
    std::iota(order.begin(), order.end(), std::int64_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
      return distance[static_cast<std::size_t>(a)] > distance[static_cast<std::size_t>(b)];
    });
    order.resize(std::min<std::size_t>(order.size(), 10));
    const Opened figure(html, "figure");
    html.leaf(
        "figcaption", {},
        fmt::format("{}: the {} of {} filters that moved most, with the numbers of their channels; below "
                    "each its difference from the identity. Each filter is scaled to its largest tap; a "
                    "minus marks negative taps.",
                    f->layer, order.size(), channels));
    draw_filters(html, fmt::format("Filters of {}", f->layer), f->weight, order, true);
    draw_filters(html, fmt::format("Filters of {}, less the identity", f->layer), moved, order, false);
  }
}

}  // namespace

void write_task_section(Html& html, const std::string& name, const std::vector<ReportedRun>& runs,
                        const TaskSectionOptions& options) {
  const auto first =
      std::find_if(runs.begin(), runs.end(), [&](const auto& r) { return r.find(name) != nullptr; });
  REPRISE_INVARIANT(first != runs.end(), "no run has a task {}", name);
  const ReportedTask& some = *first->find(name);
  html.raw(options.open ? "<details open " : "<details ").raw(fmt::format("id=\"task{}\">", options.number));
  {
    const Opened summary(html, "summary");
    html.leaf("span", {{"class", "task"}, {"role", "heading"}, {"aria-level", "3"}}, name);
    std::string line = fmt::format("{} classes", some.file.classes.size());
    for (const auto& run : runs)
      if (const ReportedTask* task = run.find(name))
        line += fmt::format(" · {} {}", run.label, shown(task->accuracy));
    html.leaf("span", {{"class", "quiet"}}, line);
  }
  auto images = some.file.images;
  html.leaf("p", {},
            fmt::format("{} images to learn from, {} to choose the epoch, {} to test.", images["train"],
                        images["val"], images["test"]));
  write_curves(html, name, runs, some.chance);
  for (const auto& run : runs) {
    const ReportedTask* task = run.find(name);
    if (task == nullptr) continue;
    if (runs.size() > 1) html.leaf("h4", {{"class", "run"}}, run.label);
    if (task->guesses.empty())
      html.leaf("p", {{"class", "quiet"}},
                "No predictions: clr eval has not been run since this task was learned.");
    else {
      write_confusion(html, *task);
      write_examples(html, *task, options);
    }
    write_filters(html, *task);
  }
  html.raw("</details>\n");
}

}  // namespace reprise::clr
