// clr tasks: lists the tasks found in a data folder, or one task's images.
#include "apps/clr/commands/commands.h"
#include "apps/clr/commands/training.h"
#include "data/loader/order.h"
#include "engine/base/utf8.h"

namespace reprise::clr {
namespace {

struct TasksOptions {
  std::string data, list;
  data::SetOptions sets;
  int epoch = -1;         // counted from 0; -1: not given, the order of the files
  bool no_check = false;  // do not open the images
  std::string rng = "streams", backbone, arch = "auto", method = "clr";
};

struct Listed {
  const char* split;
  const data::Sample* sample;
};

// Returns the training images in the order of an epoch;
// with --rng torch then the validation images, too.
std::vector<Listed> images_of_epoch(const data::Task& task, const TasksOptions& options,
                                    const Common& common) {
  std::vector<Listed> images;
  const auto add = [&](const char* split, const std::vector<data::Sample>& samples,
                       const std::vector<std::int64_t>& order) {
    for (const std::int64_t i : order) images.push_back({split, &samples[static_cast<std::size_t>(i)]});
  };
  const auto train = std::ssize(task.train), val = std::ssize(task.val);
  if (options.rng == "torch") {
    const Backbone backbone =
        backbone_for(options.method, common.weights(options.backbone), options.arch, cpu_device, DType::f32);
    TorchGenerator generator(common.seed);
    backbone.instantiate(options.method, static_cast<int>(task.classes.size()), generator);
    generator.discard(std::int64_t{options.epoch} * (val > 0 ? 2 : 1) * data::torch_loader_draws);
    add("train", task.train, data::torch_loader_order(train, generator));
    if (val > 0) add("val", task.val, data::torch_loader_order(val, generator));
  } else {
    add("train", task.train, data::epoch_order(train, common.seed, task.name, options.epoch, true));
  }
  return images;
}

void list_images(const data::Task& task, const TasksOptions& options, const Common& common) {
  std::vector<Listed> images;
  if (options.epoch >= 0)
    images = images_of_epoch(task, options, common);
  else
    for (const auto& [split, samples] :
         {std::pair("train", &task.train), {"val", &task.val}, {"test", &task.test}})
      for (const data::Sample& sample : *samples) images.push_back({split, &sample});
  const auto class_of = [&](const Listed& i) {
    return task.classes[static_cast<std::size_t>(i.sample->label)];
  };
  if (common.json) {
    Json list = Json::array();
    for (const Listed& i : images)
      list.push_back(
          {{"split", i.split}, {"label", i.sample->label}, {"class", class_of(i)}, {"path", i.sample->path}});
    Json json{{"task", task.name}};
    if (options.epoch >= 0) json["epoch"] = options.epoch;
    json["images"] = std::move(list);
    return print_json(json);
  }
  std::string text;
  for (const Listed& i : images)
    text += fmt::format("{}\t{}\t{}\t{}\n", i.split, i.sample->label, escaped(class_of(i)),
                        escaped(i.sample->path));
  print(text);
}

void print_tasks(const std::vector<data::Task>& tasks, const Common& common) {
  if (common.json) {
    Json list = Json::array();
    for (const auto& task : tasks) {
      Json bad = Json::array();
      for (const auto& file : task.unreadable) bad.push_back({{"path", file.path}, {"reason", file.reason}});
      list.push_back({{"name", task.name},
                      {"id", task.id},
                      {"classes", task.classes},
                      {"train", task.train.size()},
                      {"val", task.val.size()},
                      {"test", task.test.size()},
                      {"notes", task.notes},
                      {"unreadable", bad},
                      {"skipped", task.skipped}});
    }
    return print_json({{"tasks", list}});
  }
  Table table({"task", "id", "classes", "train", "val", "test", "unreadable"});
  for (const auto& t : tasks)
    table.row({t.name, t.id.empty() ? "-" : t.id, std::to_string(t.classes.size()),
               std::to_string(t.train.size()), std::to_string(t.val.size()), std::to_string(t.test.size()),
               std::to_string(t.unreadable.size())});
  print(table.text());
}

void run_tasks(const TasksOptions& given, Common& common) {
  TasksOptions options = given;
  if (options.epoch >= 0 && options.list.empty())
    throw UsageError("--epoch: needs --list TASK, whose images it puts into order");
  if (!options.list.empty() && !options.sets.tasks.empty())
    throw UsageError("--tasks: --list names the task already");
  if (options.rng == "torch" && options.epoch < 0)
    throw UsageError("--rng torch: needs --list TASK --epoch E");
  if (options.rng != "torch" && !options.backbone.empty())
    throw UsageError("--backbone: needs --rng torch; only then the order depends on the network");
  options.method = checked_method(options.method);
  if (!options.list.empty()) options.sets.tasks = {options.list};
  const SignalGuard signals;
  auto tasks = data::find_tasks(options.data, options.sets);
  for (auto& task : tasks) {
    if (!options.no_check) data::check_readable(task, options.sets, stopping(stop_requested));
    report_task(task, options.sets.skip_bad, common.quiet);
  }
  if (options.list.empty())
    print_tasks(tasks, common);
  else
    for (const auto& task : tasks) list_images(task, options, common);
}

}  // namespace

void add_tasks(Command app, Common& common) {
  const Command c = add_command(app, common, "tasks", "list the tasks found in a folder");
  auto options = std::make_shared<TasksOptions>();
  c.add_option("--data", options->data, data_help).required();
  c.add_option("--list", options->list,
               "print one line for each image of this task: split, label, class, path");
  c.add_option("--epoch", options->epoch,
               "with --list: the training images in the order of this epoch (counted from 0)")
      .range(0, 1 << 30);
  add_tasks_option(c, options->sets.tasks);
  c.add_flag("--no-check", options->no_check, "do not decode the images to see whether they can be read");
  c.add_option("--rng", options->rng, "with --epoch: streams or torch, as for `clr train`")
      .one_of({"streams", "torch"})
      .shows_default();
  c.add_option("--backbone", options->backbone, "with --rng torch: the backbone to train on");
  add_weight_options(c, common);
  c.add_option("--arch", options->arch, "with --rng torch: architecture of the backbone").shows_default();
  c.add_option("--method", options->method, "with --rng torch: the method of training").shows_default();
  data::SetOptions& sets = options->sets;
  add_split_options(c, sets.val_fraction, sets.max_images, sets.skip_bad);
  add_follow_links(c, sets.follow_links);
  c.callback([options, &common] { run_tasks(*options, common); });
}

}  // namespace reprise::clr
