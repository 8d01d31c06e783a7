// clr map: makes or extends the task map of a run.
#include <chrono>

#include "apps/clr/commands/commands.h"
#include "apps/clr/commands/training.h"
#include "apps/clr/learn/task_map.h"

namespace reprise::clr {
namespace {

struct MapOptions {
  std::string run, data, backbone, remove;
  bool follow_links = false;
};

// The features of a learned task's images, with the labels that the task learned.
struct TaskFeatures {
  MappedImages train, val;
  bool is_halved = false;
};

void stop_between_images(std::int64_t, std::int64_t) {
  if (stop_requested())
    throw Interrupted(
        "interrupted; the map is a whole one, of the tasks that were added so far: clr map adds the rest");
}

TaskFeatures features_of(const Backbone& backbone, const TaskFile& file, TaskData& data,
                         const DataOptions& options, const Common& common) {
  decode(data, options);
  const data::Task& task = data.task;
  const data::TaskImages& images = data.images;
  const auto learned = file.data_digests.find("train");
  if (learned != file.data_digests.end() && learned->second != data.digests["train"])
    log_warning(fmt::format("task {}: other training images than it learned from", file.task));
  TaskFeatures features;
  features.is_halved = task.test.empty();
  const auto places = learned_labels(file, task.classes);
  for (const auto& [split, to] :
       {std::pair(images.train.get(), &features.train), {images.val.get(), &features.val}}) {
    *to = map_images(backbone, *split, stop_between_images);
    for (std::int64_t& label : to->labels) label = places[static_cast<std::size_t>(label)];
  }
  if (!common.quiet)
    log_line(fmt::format("{}: {} training and {} validation images", file.task, images.train->count(),
                         images.val->count()));
  return features;
}

std::int64_t training_images(const TaskMap& map, std::size_t task) {
  std::int64_t images = 0;
  for (const ClassSum& c : map.features.tasks[task]) images += c.count;
  return images;
}

Json json_of(const TaskMap& map, const std::vector<double>& nearest) {
  Json tasks = Json::array();
  for (std::size_t t = 0; t < map.tasks.size(); ++t)
    tasks.push_back({{"name", map.tasks[t].name},
                     {"classes", map.tasks[t].classes.size()},
                     {"train_images", training_images(map, t)},
                     {"calibrating", map.tasks[t].distances.size()},
                     {"nearest", nearest[t]},
                     {"bytes", bytes_of_task(map, t)}});
  return {{"tasks", tasks}, {"run_bytes", bytes_of_run(map)}, {"temperature", map.temperature}};
}

void run_map(const MapOptions& o, Common& common) {
  common.begin();
  const SignalGuard signals;
  const RunFolder folder(o.run);
  const auto names = folder.finished_tasks();
  REPRISE_CHECK(!names.empty(), "{}: no task has been learned here yet", o.run);
  const TaskFile first = read_task_file(folder.task_file(names.front()));
  const Backbone backbone =
      backbone_of(first, common.weights(o.backbone), common.resolved_device(), common.resolved_dtype());
  const bool is_new = !std::filesystem::exists(map_path(folder)) && o.remove.empty();
  TaskMap map =
      is_new ? empty_map(backbone, first.size) : read_task_map(map_path(folder), /*with_calibration=*/true);
  check_fits(map, folder, backbone, first.size);

  DataOptions options{o.data, sets_of(partial_recipe(folder.record().recipe, o.run)), map.size, true,
                      stop_requested};
  data::SetOptions& sets = options.sets;
  sets.follow_links = o.follow_links;
  std::vector<std::string> absent;
  if (!o.remove.empty()) {
    std::vector<std::string> mapped;
    for (const MappedTask& task : map.tasks) mapped.push_back(task.name);
    REPRISE_CHECK(map.has(o.remove), "{}: no task '{}'; it has: {}", map_path(folder), o.remove,
                  fmt::join(mapped, ", "));
    sets.tasks = {o.remove};
    // A task that was removed from the run is known by the map's own list of classes.
    TaskFile file;
    file.task = o.remove;
    file.size = map.size;
    file.classes = map.tasks[map.place(o.remove)].classes;
    std::vector<TaskData> found = find_task_data(options);
    remove_task(map, o.remove, features_of(backbone, file, found.front(), options, common).train);
  } else {
    task_files_of(map, folder, /*may_lack=*/true);  // an Error for a task that was learned anew
    sets.absent_allowed = true;
    for (const std::string& name : names)
      if (!map.has(name)) sets.tasks.push_back(name);
    std::vector<TaskData> found;
    if (!sets.tasks.empty()) found = find_task_data(options);
    auto saved = std::chrono::steady_clock::now();
    for (const std::string& name : sets.tasks) {
      const auto task = std::ranges::find_if(found, [&](const TaskData& d) { return d.task.name == name; });
      if (task == found.end()) {
        absent.push_back(name);
        continue;
      }
      const TaskFile file = read_task_file(folder.task_file(name));
      const TaskFeatures features = features_of(backbone, file, *task, options, common);
      add_task(map, file, features.train, features.val, features.is_halved);
      if (std::chrono::steady_clock::now() - saved < std::chrono::minutes(1)) continue;
      calibrate(map);  // a map of the tasks so far is a whole one: a call after a stop goes on from it
      write_task_map(folder, map);
      saved = std::chrono::steady_clock::now();
    }
  }
  const std::vector<double> nearest = calibrate(map);
  backbone.verify();
  write_task_map(folder, map, !o.remove.empty());
  if (common.json) {
    Json json = json_of(map, nearest);
    json["absent"] = absent;
    print_json(json);
  } else {
    print(table_of_map(map, nearest));
    print(
        "nearest: the share of a task's calibrating validation images that are nearer to it than to "
        "others\n");
  }
  if (absent.empty()) return;
  log_line(fmt::format("clr: learned, but absent from {}: {}", o.data, fmt::join(absent, ", ")));
  common.exit_status = 1;
}

}  // namespace

std::string table_of_map(const TaskMap& map, const std::vector<double>& nearest) {
  Table table({"task", "classes", "training images", "calibrating", "nearest", "bytes"});
  for (std::size_t t = 0; t < map.tasks.size(); ++t)
    table.row({map.tasks[t].name, std::to_string(map.tasks[t].classes.size()),
               grouped(training_images(map, t)), std::to_string(map.tasks[t].distances.size()),
               nearest.empty() ? "" : percent(nearest[t]), grouped(bytes_of_task(map, t))});
  table.rule();
  table.row({"all tasks share", "", "", "", "", grouped(bytes_of_run(map))});
  return table.text();
}

void add_map(Command app, Common& common) {
  const auto o = std::make_shared<MapOptions>();
  const Command c = add_command(app, common, "map", "make the map that says which task an image is from");
  c.add_option("--run", o->run, "run folder; its map is made, or extended by the tasks that it lacks")
      .required();
  c.add_option("--data", o->data, data_help).required();
  c.add_option("--backbone", o->backbone, "the run's backbone (default: the file that the run names)");
  add_weight_options(c, common);
  c.add_option("--remove", o->remove, "take this task out of the map; --data holds its training images");
  add_follow_links(c, o->follow_links);
  c.callback([o, &common] { run_map(*o, common); });
}

}  // namespace reprise::clr
