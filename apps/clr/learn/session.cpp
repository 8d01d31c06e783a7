#include "apps/clr/learn/session.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "apps/clr/commands/signals.h"
#include "apps/clr/learn/estimate.h"
#include "apps/clr/learn/step.h"
#include "apps/clr/learn/table.h"
#include "apps/clr/learn/trainer.h"
#include "data/io/file.h"
#include "data/loader/order.h"
#include "data/weights/weight_file.h"
#include "engine/core/check.h"
#include "engine/core/log.h"
#include "engine/core/parallel.h"
#include "engine/core/sha256.h"
#include "layers/reprogramming/method.h"

namespace reprise::clr {
namespace {

namespace fs = std::filesystem;

std::string sha256_of_file(const std::string& path) {
  return path.empty() ? "" : sha256_hex(data::read_file(path));
}

}  // namespace

Json facts_of(const TaskData& data) {
  const auto count = [](const std::vector<data::Sample>& samples) {
    return static_cast<std::int64_t>(samples.size());
  };
  return {{"classes", data.task.classes.size()},
          {"train_images", count(data.task.train)},
          {"val_images", count(data.task.val)},
          {"test_images", count(data.task.test)},
          {"digests", data.digests}};
}

std::vector<std::string> arguments_of_process() {
  std::ifstream in("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> arguments;
  for (std::string argument; std::getline(in, argument, '\0');) arguments.push_back(argument);
  return arguments;
}

std::string find_method_name(const std::string& name) {
  try {
    return std::string(layers::find_method(name).name);
  } catch (const Error& e) {
    throw UsageError(fmt::format("--method: {}", e.what()));
  }
}

Session::Session(const Backbone& backbone, SessionOptions options)
    : backbone_(backbone), options_(std::move(options)), folder_(options_.run) {
  options_.recipe.init_sha256 = sha256_of_file(options_.init);
  options_.recipe.order_sha256 = sha256_of_file(options_.order);
}

void Session::prepare() {
  const Recipe& recipe = options_.recipe;
  if (folder_.exists()) folder_.check_same(backbone_record(), to_json(recipe));
  DataOptions data;
  data.dir = options_.data;
  data.sets.val_fraction = recipe.val_fraction;
  data.sets.max_images = recipe.max_images;
  data.sets.skip_bad = recipe.skip_bad;
  data.sets.tasks = options_.tasks;
  data.sets.clip_grey16 = options_.clip_grey16;
  data.size = recipe.size;
  data.cache_dir = folder_.cache_dir();
  data.quiet = options_.quiet;
  tasks_ = load_tasks(data);
  for (const auto& task : tasks_)
    if (folder_.exists() && folder_.is_finished(task.task.name)) check_finished(task);
  check_single_task();
  estimate();
}

// --init, --order and --log-steps are about one task.
void Session::check_single_task() {
  const std::pair<const char*, const std::string&> single[] = {
      {"--init", options_.init}, {"--order", options_.order}, {"--log-steps", options_.log_steps}};
  for (const auto& [option, value] : single)
    if (!value.empty() && tasks_.size() != 1)
      throw UsageError(fmt::format("{} is for one task, and {} has {}: choose one with --tasks", option,
                                   options_.data, tasks_.size()));
  if (!options_.init.empty()) {
    const data::WeightFile file = data::read_weights(options_.init);
    if (is_task_file(file)) {
      const TaskFile task = read_task_file(options_.init);
      REPRISE_CHECK(task.backbone_identity == backbone_.identity, "--init {}: learned on another backbone",
                    options_.init);
    }
    init_ = file.tensors;
  }
  if (options_.order.empty()) return;
  order_ = data::read_order_file(options_.order, tasks_[0].images.train->count());
  std::int64_t steps = 0;
  for (const auto& line : order_)
    steps += (static_cast<std::int64_t>(line.size()) + options_.recipe.batch - 1) / options_.recipe.batch;
  const bool enough = static_cast<int>(order_.size()) >= options_.recipe.epochs ||
                      (options_.recipe.steps > 0 && steps >= options_.recipe.steps);
  REPRISE_CHECK(enough, "--order {}: {} lines for --epochs {}: one line an epoch is needed", options_.order,
                order_.size(), options_.recipe.epochs);
}

void Session::check_finished(const TaskData& data) const {
  const TaskFile file = read_task_file(folder_.task_file(data.task.name));
  REPRISE_CHECK(
      file.classes == data.task.classes && file.data_digests == data.digests,
      "{}: task {} is finished, and its data in {} is no longer what it was learned from\n  file    {}\nGive "
      "the changed data another name or choose another --run, or start anew with --restart",
      folder_.path(), data.task.name, options_.data, file.path);
}

std::int64_t Session::images_to_train(const TaskData& data) const {
  const std::int64_t all = data.images.train->count() * options_.recipe.epochs;
  return options_.recipe.steps > 0 ? std::min(all, options_.recipe.steps * options_.recipe.batch) : all;
}

void Session::estimate() {
  const Recipe& recipe = options_.recipe;
  std::vector<TaskImagesCount> counts;
  int classes = 2;
  std::int64_t images = 0, longest = 1;
  for (const auto& data : tasks_) {
    counts.push_back({data.task.name, data.images.train->count()});
    classes = std::max(classes, static_cast<int>(data.task.classes.size()));
    longest = std::max(longest, data.images.train->count());
    images += data.images.train->count();
  }
  const auto network = backbone_.instantiate(recipe.method, classes, recipe.seed, "estimate");
  const MemoryEstimate memory = estimate_memory(*network, recipe.size, backbone_.dtype);
  const std::int64_t batch = std::min<std::int64_t>(recipe.batch, longest);
  memory_ = memory.of_batch(batch);
  if (!options_.quiet) {
    Table table({"task", "classes", "train", "val", "test"});
    for (const auto& data : tasks_)
      table.row({data.task.name, std::to_string(data.task.classes.size()),
                 std::to_string(data.task.train.size()), std::to_string(data.task.val.size()),
                 std::to_string(data.task.test.size())});
    log_line(table.text());
    log_line(fmt::format("backbone {}, method {}, {} tasks, {} training images of {}x{}, expected memory {}",
                         backbone_.arch, recipe.method, tasks_.size(), images, recipe.size, recipe.size,
                         bytes_text(memory_)));
  }
  if (recipe.epochs == 0) return;
  check_memory(memory, batch, available_memory(backbone_.device));
  if (order_.empty()) check_last_batch(counts, recipe.batch, least_batch_norm_values(*network, recipe.size));
}

Json Session::plan() const {
  Json tasks = Json::array();
  for (const auto& data : tasks_) {
    Json task = {{"name", data.task.name}};
    task.update(facts_of(data));
    task["finished"] = folder_.exists() && folder_.is_finished(data.task.name);
    tasks.push_back(task);
  }
  return {{"backbone", backbone_record()},
          {"recipe", to_json(options_.recipe)},
          {"tasks", tasks},
          {"memory", memory_}};
}

Json Session::backbone_record() const {
  Json json = {{"path", backbone_.is_none() ? "" : fs::absolute(backbone_.path).string()},
               {"file_sha256", backbone_.file_sha256},
               {"identity", backbone_.identity},
               {"arch", backbone_.arch},
               {"parameters", backbone_.parameters()},
               {"bytes", backbone_.bytes()}};
  if (options_.copy_backbone) json["copy"] = "backbone" + fs::path(backbone_.path).extension().string();
  return json;
}

}  // namespace reprise::clr
