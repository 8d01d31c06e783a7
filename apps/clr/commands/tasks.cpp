// clr tasks: lists the tasks found in a data folder, or one task's images.
#include "apps/clr/commands/commands.h"
#include "apps/clr/commands/training.h"
#include "data/loader/order.h"

namespace reprise::clr {
namespace {

struct TasksOptions {
  std::string data, list;
  data::SetOptions sets;
  int epoch = -1;         // counted from 0; -1: not given, the order of the files
  bool no_check = false;  // do not open the images
  std::string rng = "streams", backbone, arch = "auto", method = "clr";
};

// Replaces tabs and line ends, which names, classes and paths may contain, by spaces.
std::string one_line(std::string text) {
  for (char& c : text)
    if (c == '\t' || c == '\n' || c == '\r') c = ' ';
  return text;
}

std::string line_of(const data::Task& task, const char* split, const data::Sample& sample) {
  return fmt::format("{}\t{}\t{}\t{}\n", split, sample.label,
                     one_line(task.classes[static_cast<std::size_t>(sample.label)]), sample.path);
}

// Prints the training images in the order of an epoch;
// with --rng torch then the validation images, too.
void list_epoch(const data::Task& task, const TasksOptions& options, const Common& common) {
  std::string text;
  const auto add = [&](const char* split, const std::vector<data::Sample>& samples,
                       const std::vector<std::int64_t>& order) {
    for (const std::int64_t i : order) text += line_of(task, split, samples[static_cast<std::size_t>(i)]);
  };
  const auto train = std::ssize(task.train), val = std::ssize(task.val);
  if (options.rng == "torch") {
    const Backbone backbone =
        backbone_for(options.method, options.backbone, options.arch, cpu_device, DType::f32);
    TorchGenerator generator(common.seed);
    backbone.instantiate(options.method, static_cast<int>(task.classes.size()), generator);
    generator.discard(std::int64_t{options.epoch} * (val > 0 ? 2 : 1) * data::torch_loader_draws);
    add("train", task.train, data::torch_loader_order(train, generator));
    if (val > 0) add("val", task.val, data::torch_loader_order(val, generator));
  } else {
    add("train", task.train, data::epoch_order(train, common.seed, task.name, options.epoch, true));
  }
  print(text);
}

void list_images(const data::Task& task, const TasksOptions& options, const Common& common) {
  if (options.epoch >= 0) return list_epoch(task, options, common);
  std::string text;
  for (const auto& sample : task.train) text += line_of(task, "train", sample);
  for (const auto& sample : task.val) text += line_of(task, "val", sample);
  for (const auto& sample : task.test) text += line_of(task, "test", sample);
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
                      {"unreadable", bad}});
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
  c.add_option("--tasks", options->sets.tasks,
               "only these tasks, by name or id, separated by commas; paper53: the paper's")
      .comma_separated();
  c.add_flag("--no-check", options->no_check, "do not decode the images to see whether they can be read");
  c.add_option("--rng", options->rng, "with --epoch: streams or torch, as for `clr train`")
      .one_of({"streams", "torch"})
      .shows_default();
  c.add_option("--backbone", options->backbone, "with --rng torch: the backbone to train on");
  c.add_option("--arch", options->arch, "with --rng torch: architecture of the backbone").shows_default();
  c.add_option("--method", options->method, "with --rng torch: the method of training").shows_default();
  data::SetOptions& sets = options->sets;
  add_split_options(c, sets.val_fraction, sets.max_images, sets.skip_bad);
  c.callback([options, &common] { run_tasks(*options, common); });
}

}  // namespace reprise::clr
