#include "apps/clr/commands/eval_map.h"

#include <numeric>

#include "apps/clr/learn/run_network.h"
#include "apps/clr/learn/task_log.h"
#include "data/io/file.h"
#include "engine/ops/softmax.h"

namespace reprise::clr {
namespace {

constexpr std::size_t most_entropy_images = 64;  // of a task: each runs through every network
constexpr std::size_t most_columns = 12;         // of a table of confusions

// The columns of the table, of taskmap.csv and of the JSON object.
struct Column {
  const char *title, *key;
  double (*share)(const MapRow&);
};
template <std::int64_t MapRow::*count>
double share(const MapRow& r) {
  return static_cast<double>(r.*count) / static_cast<double>(r.images);
}
const Column columns[] = {
    {"told", "told", share<&MapRow::told>},
    {"not told", "untold", share<&MapRow::untold>},
    {"task right", "task_right", share<&MapRow::task_right>},
    {"in first 3", "in_first_three", share<&MapRow::in_first_three>},
    {"other task, same name", "same_name", share<&MapRow::same_name>},
    {"refused", "refused", share<&MapRow::refused>},
    {"by colour", "colour", share<&MapRow::colour>},
    {"by entropy", "entropy",
     [](const MapRow& r) { return static_cast<double>(r.entropy) / static_cast<double>(r.entropy_images); }},
};

// Returns the mean of a column over the rows: of tasks, or of images.
double mean(const std::vector<MapRow>& rows, const Column& column, bool of_images) {
  double sum = 0, weights = 0;
  for (const MapRow& row : rows) {
    const double weight = of_images ? static_cast<double>(row.images) : 1;
    sum += weight * column.share(row), weights += weight;
  }
  return sum / weights;
}

}  // namespace

MapEvaluation::MapEvaluation(const Backbone& backbone, const RunFolder& folder,
                             const InferenceOptions& options)
    : backbone_(backbone),
      folder_(folder),
      options_(options),
      map_(read_task_map(map_path(folder))),
      files_(task_files_of(map_, folder)),
      ranking_(map_),
      colours_(map_.colours) {
  check_fits(map_, folder_, backbone, files_.front().size);
  for (const TaskFile& file : files_) networks_.push_back(restore_network(backbone, file));
}

double MapEvaluation::outside(const InferredImage& image) const {
  double least = HUGE_VAL;
  for (const RankedTask& task :
       std::span(image.ranked)
           .first(std::min(image.ranked.size(), static_cast<std::size_t>(options_.shortlist))))
    least = std::min(least, task.distance / std::max(ranking_.limit(task.task, options_.refuse), 1e-300));
  return least;
}

std::int64_t MapEvaluation::right_by_entropy(const data::ImageStore& images, std::size_t task,
                                             const std::vector<std::int64_t>& indices) {
  std::vector<std::pair<double, std::size_t>> least(indices.size(), {HUGE_VAL, 0});
  const Tensor batch = images.batch(indices);
  for (std::size_t t = 0; t < networks_.size(); ++t) {
    const Tensor p = ops::softmax(outputs_of(*networks_[t], batch).logits).to(cpu_device).to(DType::f64);
    const auto classes = static_cast<std::size_t>(p.dim(1));
    for (std::size_t i = 0; i < indices.size(); ++i) {
      double entropy = 0;
      for (const double x : p.values<double>().subspan(i * classes, classes))
        if (x > 0) entropy -= x * std::log(x) / std::log(static_cast<double>(classes));
      least[i] = std::min(least[i], {entropy, t});
    }
  }
  return std::ranges::count(least, task, &std::pair<double, std::size_t>::second);
}

void MapEvaluation::add(const TaskFile& file, const std::string& split, const data::ImageStore& images,
                        const std::vector<PredictedLabel>& told) {
  const std::size_t task = map_.place(file.task);
  const MappedImages mapped = map_images(backbone_, images);
  const auto inferred = infer(backbone_, map_, files_, images, mapped.features, {options_.shortlist, 1});
  const std::vector<std::int64_t> counted =
      halves_of(mapped.features, split == "val" && map_.tasks[task].is_halved).reported;
  MapRow row;
  row.task = file.task;
  row.split = split;
  row.images = std::ssize(counted);
  row.inferred.assign(map_.tasks.size(), 0);
  for (const std::int64_t index : counted) {
    const auto i = static_cast<std::size_t>(index);
    const InferredImage& image = inferred[i];
    const auto& answer = image.answers.front();
    const std::int64_t truth = mapped.labels[i];
    const std::size_t nearest = image.ranked.front().task;
    const bool same_task = answer.task.task == task;
    row.told += told[i].label == truth;
    row.untold += same_task && answer.label == truth;
    row.task_right += nearest == task;
    const auto place = std::ranges::find(image.ranked, task, &RankedTask::task) - image.ranked.begin();
    row.in_first_three += place < 3;
    row.same_name += !same_task && files_[answer.task.task].classes[static_cast<std::size_t>(answer.label)] ==
                                       file.classes[static_cast<std::size_t>(truth)];
    const auto colours = colours_.to_tasks(mapped.colours.row(index));
    row.colour += std::ranges::min_element(colours) - colours.begin() == static_cast<std::ptrdiff_t>(task);
    ++row.inferred[nearest];
    known_.push_back(outside(image));
    row.refused += known_.back() > 1;
  }
  std::vector<std::int64_t> some;
  for (std::size_t i = 0; i < std::min(counted.size(), most_entropy_images); ++i)
    some.push_back(counted[i * counted.size() / std::min(counted.size(), most_entropy_images)]);
  row.entropy_images = std::ssize(some);
  row.entropy = right_by_entropy(images, task, some);
  rows_.push_back(std::move(row));
}

void MapEvaluation::add_unknown(const data::ImageStore& images) {
  const FeatureRows features = map_images(backbone_, images).features;
  for (std::int64_t i = 0; i < features.count(); ++i) {
    InferredImage image;
    image.ranked = ranking_.rank(features.row(i));
    unknown_.push_back(outside(image));
  }
}

MapEvaluation::Separation MapEvaluation::separation() const {
  std::vector<double> known = known_;
  std::ranges::sort(known);
  double wins = 0;
  for (const double x : unknown_) {
    const auto below = std::ranges::lower_bound(known, x), above = std::ranges::upper_bound(known, x);
    wins += static_cast<double>(below - known.begin()) + 0.5 * static_cast<double>(above - below);
  }
  const double limit = known[(known.size() * 95 + 99) / 100 - 1];
  const double n = static_cast<double>(unknown_.size());
  return {wins / n / static_cast<double>(known.size()),
          static_cast<double>(std::ranges::count_if(unknown_, [&](double x) { return x <= limit; })) / n};
}

void MapEvaluation::write() const {
  std::string text = "task,split,images", confusions = "task,inferred,images\n";
  for (const Column& c : columns) text += fmt::format(",{}", c.key);
  text += '\n';
  for (const MapRow& row : rows_) {
    text += fmt::format("{},{},{}", csv_field(row.task), row.split, row.images);
    for (const Column& c : columns) text += "," + exact(c.share(row));
    text += '\n';
    for (std::size_t t = 0; t < row.inferred.size(); ++t)
      confusions +=
          fmt::format("{},{},{}\n", csv_field(row.task), csv_field(files_[t].task), row.inferred[t]);
  }
  data::write_file_atomically(folder_.path() + "/taskmap.csv", text);
  data::write_file_atomically(folder_.path() + "/taskmap-confusions.csv", confusions);
}

Json MapEvaluation::json() const {
  Json json{{"shortlist", options_.shortlist}, {"refuse", options_.refuse}, {"tasks", Json::array()}};
  for (const MapRow& row : rows_) {
    Json task{{"name", row.task}, {"split", row.split}, {"images", row.images}};
    for (const Column& c : columns) task[c.key] = c.share(row);
    for (std::size_t t = 0; t < row.inferred.size(); ++t) task["inferred"][files_[t].task] = row.inferred[t];
    json["tasks"].push_back(task);
  }
  for (const Column& c : columns) {
    json["macro"][c.key] = mean(rows_, c, false);
    json["micro"][c.key] = mean(rows_, c, true);
  }
  if (!unknown_.empty()) {
    const Separation s = separation();
    json["unknown"] = {{"images", unknown_.size()},
                       {"refused", std::ranges::count_if(unknown_, [](double x) { return x > 1; })},
                       {"auroc", s.auroc},
                       {"false_acceptance_at_95", s.false_acceptance}};
  }
  return json;
}

std::string MapEvaluation::text() const {
  std::vector<std::string> titles{"without being told", "split", "images"};
  for (const Column& c : columns) titles.emplace_back(c.title);
  Table table(titles, [&] {
    std::vector<bool> left(titles.size());
    left[0] = left[1] = true;
    return left;
  }());
  bool halved = false;
  for (const MapRow& row : rows_) {
    const bool half = row.split == "val" && map_.tasks[map_.place(row.task)].is_halved;
    halved = halved || half;
    std::vector<std::string> cells{row.task, half ? "val / 2 *" : row.split, grouped(row.images)};
    for (const Column& c : columns) cells.push_back(percent(c.share(row)));
    table.row(cells);
  }
  table.rule();
  for (const bool of_images : {false, true}) {
    std::vector<std::string> cells{of_images ? "mean over images" : "mean over tasks", "", ""};
    for (const Column& c : columns) cells.push_back(percent(mean(rows_, c, of_images)));
    table.row(cells);
  }
  std::string text = table.text();
  if (halved) text += "* the other half of this split calibrated the map's thresholds\n";
  if (rows_.size() <= most_columns) {
    std::vector<std::string> heads{"from \\ taken for"};
    for (const TaskFile& file : files_) heads.push_back(file.task);
    Table confusions(heads);
    for (const MapRow& row : rows_) {
      std::vector<std::string> cells{row.task};
      for (const std::int64_t n : row.inferred) cells.push_back(n == 0 ? "." : std::to_string(n));
      confusions.row(cells);
    }
    text += "\n" + confusions.text();
  }
  if (unknown_.empty()) return text;
  const Separation s = separation();
  return text +
         fmt::format(
             "\n{} images of no learned task: {} refused at --refuse {}; AUROC {:.3f}; {} accepted where "
             "95 % of the known ones are\n",
             unknown_.size(),
             percent(static_cast<double>(std::ranges::count_if(unknown_, [](double x) { return x > 1; })) /
                     static_cast<double>(unknown_.size())),
             options_.refuse, s.auroc, percent(s.false_acceptance));
}

}  // namespace reprise::clr
