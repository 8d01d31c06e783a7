#include "apps/clr/learn/task_map.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "apps/clr/learn/json_fields.h"
#include "apps/clr/learn/surroundings.h"
#include "apps/clr/learn/table.h"
#include "data/weights/weight_file.h"
#include "engine/base/check.h"
#include "engine/base/parallel.h"
#include "layers/network.h"

namespace reprise::clr {
namespace {

constexpr const char *map_format = "taskmap 1", *calibration_format = "taskmap calibration 1";

std::map<std::string, std::string> conditions_of(const Backbone& backbone) {
  return {{"bf16_order", bf16_order_state(backbone.device, backbone.dtype)},
          {"device", std::string(name_of(backbone.device.kind))},
          {"dtype", std::string(name_of(backbone.dtype))},
          {"instruction_set", instruction_set(backbone.device)},
          {"winograd", winograd_state(backbone.device)}};
}

// The name of a task's tensor. Names of tasks may be any text, so they stand in the metadata only.
std::string tensor_name(std::size_t task, const char* what) {
  return fmt::format("{:04}.{}", task, what);
}

}  // namespace

std::size_t TaskMap::place(const std::string& task) const {
  return static_cast<std::size_t>(std::ranges::lower_bound(tasks, task, {}, &MappedTask::name) -
                                  tasks.begin());
}

TaskMap empty_map(const Backbone& backbone, int size) {
  REPRISE_CHECK(
      !backbone.is_none(),
      "task map: these tasks were learned from random weights and share no backbone, so there are no "
      "common features to compare images by");
  TaskMap map;
  map.arch = backbone.arch;
  map.identity = backbone.identity;
  map.size = size;
  map.conditions = conditions_of(backbone);
  return map;
}

void add_task(TaskMap& map, const TaskFile& file, const MappedImages& train, const MappedImages& val,
              bool is_halved) {
  REPRISE_CHECK(
      val.features.count() >= least_calibrating,
      "task {}: {} validation images; its thresholds need at least {}. Give it more: a val folder, or "
      "a run with a larger --val-fraction",
      file.task, val.features.count(), least_calibrating);
  for (std::size_t c = 0; c < file.classes.size(); ++c)
    REPRISE_CHECK(std::ranges::count(train.labels, static_cast<std::int64_t>(c)) > 0,
                  "task {}: class '{}' has no training image", file.task, file.classes[c]);
  const std::size_t at = map.place(file.task);
  map.features.insert(at, train.features, train.labels, file.classes.size());
  map.colours.insert(at, train.colours, train.labels, file.classes.size());
  const auto digest = file.data_digests.find("train");
  MappedTask task{file.task, file.classes, digest == file.data_digests.end() ? "" : digest->second,
                  is_halved, {},           {map.features.width, {}}};
  for (const std::int64_t i : halves_of(val.features, is_halved).calibrating)
    for (const std::int32_t x : val.features.row(i))
      task.calibrating.values.push_back(static_cast<std::int32_t>(std::nearbyint(
          to_float(to_bfloat16(static_cast<float>(x * feature_unit))) / static_cast<float>(feature_unit))));
  map.tasks.insert(map.tasks.begin() + static_cast<std::ptrdiff_t>(at), std::move(task));
}

void remove_task(TaskMap& map, const std::string& task, const MappedImages& train) {
  const std::size_t at = map.place(task);
  const ErrorScope scope("task", task);
  map.features.remove(at, train.features, train.labels);
  map.colours.remove(at, train.colours, train.labels);
  map.tasks.erase(map.tasks.begin() + static_cast<std::ptrdiff_t>(at));
}

std::vector<double> calibrate(TaskMap& map) {
  if (map.tasks.empty()) return {};
  const ClassDistances distances(map.features);
  std::vector<std::vector<std::vector<double>>> all(map.tasks.size());  // by task, image, task
  std::vector<double> nearest;
  for (std::size_t t = 0; t < map.tasks.size(); ++t) {
    MappedTask& task = map.tasks[t];
    all[t].resize(static_cast<std::size_t>(task.calibrating.count()));
    parallel_for(task.calibrating.count(), 8, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i)
        all[t][static_cast<std::size_t>(i)] = distances.to_tasks(task.calibrating.row(i));
    });
    task.distances.clear();
    std::int64_t right = 0;
    for (const auto& image : all[t]) {
      task.distances.push_back(image[t]);
      right += std::ranges::min_element(image) - image.begin() == static_cast<std::ptrdiff_t>(t);
    }
    std::ranges::sort(task.distances);
    nearest.push_back(static_cast<double>(right) / static_cast<double>(all[t].size()));
  }
  // The cross-entropy is convex in b = 1 / (2 temperature). Its slope is the mean over images of the
  // own distance minus the expected distance; b is searched among powers of 2^(1/16).
  const auto slope = [&](double b) {
    double sum = 0;
    for (std::size_t t = 0; t < all.size(); ++t)
      for (const auto& image : all[t]) {
        const double least = *std::ranges::min_element(image);
        double weights = 0, expected = 0;
        for (const double d : image) {
          const double w = std::exp(-b * (d - least));
          weights += w, expected += w * d;
        }
        sum += (image[t] - expected / weights) / static_cast<double>(all[t].size());
      }
    return sum;
  };
  int low = -320, high = 320;
  while (low < high) {
    const int middle = low + (high - low) / 2;
    if (slope(std::exp2(middle / 16.0)) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  map.temperature = 0.5 / std::exp2(low / 16.0);
  return nearest;
}

std::int64_t bytes_of_task(const TaskMap& map, std::size_t task) {
  const auto classes = std::ssize(map.features.tasks[task]);
  return 8 * (classes * (1 + map.features.width + map.colours.width) + std::ssize(map.tasks[task].distances));
}
std::int64_t bytes_of_run(const TaskMap& map) {
  return 8 * (std::ssize(map.features.scatter) + std::ssize(map.colours.scatter));
}

bool is_task_map(const data::WeightFile& file) {
  const auto form = file.metadata.find("reprise.format");
  return form != file.metadata.end() && form->second == map_format;
}
std::string map_path(const RunFolder& folder) {
  return folder.path() + "/taskmap.safetensors";
}
std::string calibration_path(const std::string& map_path) {
  return (std::filesystem::path(map_path).parent_path() / "taskmap-calibration.safetensors").string();
}

void write_task_map(const RunFolder& folder, const TaskMap& map, bool fewer) {
  if (map.tasks.empty()) {
    for (const std::string& path : {map_path(folder), calibration_path(map_path(folder))})
      std::filesystem::remove(path);
    return;
  }
  const auto i64 = [](const std::vector<std::int64_t>& values) {
    return tensor({std::ssize(values)}, std::span<const std::int64_t>(values));
  };
  std::vector<data::NamedTensor> tensors{{"features.scatter", i64(map.features.scatter)},
                                         {"colours.scatter", i64(map.colours.scatter)}},
      calibrating;
  Json tasks = Json::array(), names = Json::array();
  for (std::size_t t = 0; t < map.tasks.size(); ++t) {
    const MappedTask& task = map.tasks[t];
    tasks.push_back({{"name", task.name},
                     {"classes", task.classes},
                     {"halved", task.is_halved},
                     {"learned_from", task.learned_from}});
    names.push_back(task.name);
    for (const auto& [what, sums] : {std::pair("features", &map.features), {"colours", &map.colours}}) {
      std::vector<std::int64_t> counts, all;
      for (const ClassSum& c : sums->tasks[t]) {
        counts.push_back(c.count);
        all.insert(all.end(), c.sum.begin(), c.sum.end());
      }
      if (sums == &map.features) tensors.push_back({tensor_name(t, "counts"), i64(counts)});
      tensors.push_back({tensor_name(t, what), i64(all).viewed_as({std::ssize(counts), sums->width})});
    }
    tensors.push_back({tensor_name(t, "distances"), tensor({std::ssize(task.distances)}, task.distances)});
    std::vector<float> rows(task.calibrating.values.begin(), task.calibrating.values.end());
    for (float& x : rows) x *= static_cast<float>(feature_unit);
    calibrating.push_back({tensor_name(t, "features"), tensor({task.calibrating.count(), map.features.width},
                                                              std::span<const float>(rows))
                                                           .to(DType::bf16)});
  }
  const auto write_calibration = [&] {
    data::write_safetensors(calibration_path(map_path(folder)), calibrating,
                            {{"reprise.format", calibration_format}, {"tasks", canonical(names)}});
  };
  // At any moment the calibrating features are of all tasks of the map, or of more.
  if (!fewer) write_calibration();
  data::write_safetensors(map_path(folder), tensors,
                          {{"reprise.format", map_format},
                           {"arch", map.arch},
                           {"backbone_identity", map.identity},
                           {"conditions", canonical(Json(map.conditions))},
                           {"size", std::to_string(map.size)},
                           {"tasks", canonical(tasks)},
                           {"temperature", exact(map.temperature)}});
  if (fewer) write_calibration();
}

namespace {

// Reads the parts of a map's file. An Error says that it is damaged.
class MapReader {
 public:
  MapReader(const std::string& path, const char* format) {
    file_.path = path;
    try {
      file_ = data::read_weights(path);
    } catch (const Error& e) {
      damaged(e.what());
    }
    if (text("reprise.format") != format) damaged(fmt::format("not of the form '{}'", format));
  }
  std::string text(const std::string& key) const {
    const auto found = file_.metadata.find(key);
    return found == file_.metadata.end() ? "" : found->second;
  }
  Json json(const std::string& key) const { return Json::parse(text(key), nullptr, false); }
  [[noreturn]] void damaged(const std::string& what) const {
    throw_error("{}: damaged: {}\nRemove the taskmap files in its folder, then make them anew with clr map",
                file_.path, what);
  }
  const Tensor& get(const std::string& name, const Shape& shape, DType dtype) const {
    const Tensor* found = file_.find(name);
    if (found == nullptr || found->shape() != shape || found->dtype() != dtype) damaged(name);
    return *found;
  }
  // Returns the leading dimension of a tensor of this rank.
  std::int64_t rows(const std::string& name, int rank) const {
    const Tensor* found = file_.find(name);
    if (found == nullptr || found->rank() != rank || found->numel() == 0) damaged(name);
    return found->dim(0);
  }
  std::int64_t columns(const std::string& name) const { return rows(name, 2), file_.find(name)->dim(1); }

 private:
  data::WeightFile file_;
};

void read_sums(const MapReader& in, const std::string& what, std::size_t task, FeatureSums& sums) {
  const std::int64_t classes = in.rows(tensor_name(task, "counts"), 1);
  const auto counts = in.get(tensor_name(task, "counts"), {classes}, DType::i64).values<std::int64_t>();
  const auto all =
      in.get(tensor_name(task, what.c_str()), {classes, sums.width}, DType::i64).values<std::int64_t>();
  sums.tasks.emplace_back();
  for (std::int64_t c = 0; c < classes; ++c) {
    const std::int64_t count = counts[static_cast<std::size_t>(c)];
    if (count < 1 || count > most_images) in.damaged("a class without images");
    const auto row =
        all.subspan(static_cast<std::size_t>(c * sums.width), static_cast<std::size_t>(sums.width));
    sums.tasks.back().push_back({count, {row.begin(), row.end()}});
  }
}

void read_calibration(const std::string& path, TaskMap& map) {
  const MapReader in(path, calibration_format);
  const Json names = in.json("tasks");
  for (MappedTask& task : map.tasks) {
    const auto found = std::ranges::find(names, Json(task.name));
    if (found == names.end()) in.damaged(fmt::format("no features of task {}", task.name));
    const std::string name = tensor_name(static_cast<std::size_t>(found - names.begin()), "features");
    const Tensor rows = in.get(name, {in.rows(name, 2), map.features.width}, DType::bf16).to(DType::f32);
    task.calibrating.width = map.features.width;
    for (const float x : rows.values<float>()) {
      if (!(std::abs(x) <= 1)) in.damaged(name);
      task.calibrating.values.push_back(
          static_cast<std::int32_t>(std::nearbyint(x / static_cast<float>(feature_unit))));
    }
  }
}

}  // namespace

TaskMap read_task_map(const std::string& path, bool with_calibration) {
  const std::string run = std::filesystem::path(path).parent_path().string();
  REPRISE_CHECK(std::filesystem::exists(path),
                "{}: this run has no task map, which says which task an image is from\nMake it with: clr map "
                "--run {} --data DIR",
                run, run);
  const MapReader in(path, map_format);
  TaskMap map;
  map.arch = in.text("arch");
  map.identity = in.text("backbone_identity");
  const Json tasks = in.json("tasks"), conditions = in.json("conditions");
  try {
    map.size = std::stoi(in.text("size"));
    map.temperature = std::stod(in.text("temperature"));
    map.conditions = conditions.get<std::map<std::string, std::string>>();
    for (const Json& task : tasks)
      map.tasks.push_back(
          {task.at("name"), task.at("classes"), task.at("learned_from"), task.at("halved"), {}, {}});
  } catch (const std::exception&) {
    in.damaged("its metadata");
  }
  if (map.tasks.empty() || !(map.temperature > 0) ||
      !std::ranges::is_sorted(map.tasks, {}, &MappedTask::name))
    in.damaged("its tasks or temperature");
  map.features.width = in.columns(tensor_name(0, "features"));
  map.colours.width = in.columns(tensor_name(0, "colours"));
  for (const auto& [name, sums] : {std::pair("features", &map.features), {"colours", &map.colours}}) {
    const auto scatter =
        in.get(fmt::format("{}.scatter", name), {sums->width * (sums->width + 1) / 2}, DType::i64)
            .values<std::int64_t>();
    sums->scatter.assign(scatter.begin(), scatter.end());
    for (std::size_t t = 0; t < map.tasks.size(); ++t) read_sums(in, name, t, *sums);
  }
  for (std::size_t t = 0; t < map.tasks.size(); ++t) {
    const std::string name = tensor_name(t, "distances");
    const auto distances = in.get(name, {in.rows(name, 1)}, DType::f64).values<double>();
    map.tasks[t].distances.assign(distances.begin(), distances.end());
    if (map.features.tasks[t].size() != map.tasks[t].classes.size()) in.damaged("its classes");
  }
  if (with_calibration) read_calibration(calibration_path(path), map);
  return map;
}

void check_fits(const TaskMap& map, const RunFolder& folder, const Backbone& backbone, int size) {
  const std::string again =
      fmt::format("To make the map for what is here, remove {} and call clr map again", map_path(folder));
  REPRISE_CHECK(
      map.identity == backbone.identity && map.size == size,
      "{}: the map was made with another backbone or size\n  map      {}  ({}), {} px\n  given    {}  "
      "({}), {} px\n{}",
      map_path(folder), map.identity, map.arch, map.size, backbone.identity, backbone.arch, size, again);
  const auto here = conditions_of(backbone);
  std::string differences;
  for (const auto& [name, value] : here) {
    const auto made = map.conditions.find(name);
    if (made == map.conditions.end() || made->second != value)
      differences += fmt::format("\n  {:<16} map {}, here {}", name,
                                 made == map.conditions.end() ? "unknown" : made->second, value);
  }
  REPRISE_CHECK(
      differences.empty(),
      "{}: features computed here have other bits than those of the map{}\nCompute as the map was made "
      "(--device, --dtype, --winograd, --bf16-order, REPRISE_CPU_ISA). {}",
      map_path(folder), differences, again);
}

std::vector<TaskFile> task_files_of(const TaskMap& map, const RunFolder& folder, bool may_lack) {
  std::vector<TaskFile> files;
  std::vector<std::string> unmapped, unlearned;
  for (const std::string& name : folder.finished_tasks())
    if (!map.has(name)) unmapped.push_back(name);
  for (const MappedTask& task : map.tasks) {
    if (!folder.is_finished(task.name)) {
      unlearned.push_back(task.name);
      continue;
    }
    files.push_back(read_task_file(folder.task_file(task.name)));
    const auto digest = files.back().data_digests.find("train");
    REPRISE_CHECK(files.back().classes == task.classes &&
                      (digest == files.back().data_digests.end() || task.learned_from.empty() ||
                       digest->second == task.learned_from),
                  "task {}: it was learned anew from other images or classes since the map was made\nRemove "
                  "{} and call clr "
                  "map again",
                  task.name, map_path(folder));
  }
  REPRISE_CHECK(unmapped.empty() || may_lack,
                "{}: learned, but not in the map: {}\nAdd them with: clr map --run {} --data DIR",
                map_path(folder), fmt::join(unmapped, ", "), folder.path());
  REPRISE_CHECK(
      unlearned.empty() || may_lack,
      "{}: in the map, but not learned in this run: {}\nTake them out with: clr map --run {} --remove "
      "TASK --data DIR",
      map_path(folder), fmt::join(unlearned, ", "), folder.path());
  return files;
}

}  // namespace reprise::clr
