#include "apps/clr/learn/session.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "apps/clr/learn/anomaly.h"
#include "apps/clr/learn/errors.h"
#include "apps/clr/learn/estimate.h"
#include "apps/clr/learn/step.h"
#include "apps/clr/learn/surroundings.h"
#include "apps/clr/learn/table.h"
#include "data/io/file.h"
#include "data/loader/order.h"
#include "data/sets/names.h"
#include "data/weights/weight_file.h"
#include "engine/base/check.h"
#include "engine/base/env.h"
#include "engine/base/log.h"
#include "engine/base/sha256.h"
#include "layers/reprogramming/method.h"

namespace reprise::clr {
namespace {

namespace fs = std::filesystem;

std::string sha256_of_file(const std::string& path) {
  return path.empty() ? "" : sha256_hex(data::read_file(path));
}

}  // namespace

Session::Session(const Backbone& backbone, SessionOptions options, TrainingObserver& observer)
    : backbone_(backbone), observer_(observer), options_(std::move(options)), folder_(options_.run) {
  options_.recipe.init_sha256 = sha256_of_file(options_.init);
  options_.recipe.order_sha256 = sha256_of_file(options_.order);
}

void Session::prepare() {
  const Recipe& recipe = options_.recipe;
  const bool begun = folder_.exists();
  if (begun)
    keep_level(folder_.path(), folder_.check_same(backbone_record(), recipe_text(recipe)), invocation());
  data_ = {options_.data, sets_of(recipe), recipe.size, options_.quiet,
           [this] { return observer_.wants_stop(); }};
  data_.sets.tasks = options_.tasks;
  data_.sets.clip_grey16 = options_.clip_grey16;
  data_.sets.follow_links = options_.follow_links;
  tasks_ = find_task_data(data_);
  take_shard();
  if (tasks_.empty()) return;
  const std::vector<std::string> finished = begun ? folder_.finished_tasks() : std::vector<std::string>();
  std::vector<TaskData*> unfinished;
  for (auto& task : tasks_) {
    const std::string& name = task.task.name;
    if (folder_.is_finished(name)) {
      check_finished(task);
      continue;
    }
    unfinished.push_back(&task);
    if (const std::string form = data::other_form(name, finished, "data", "learned"); !form.empty())
      log_warning(fmt::format("{}: task {} is new here{}", folder_.path(), name, form));
  }
  check_headers(unfinished, data_);
  check_single_task();
  estimate();
  limit_cache();
}

// Checks that there is one task if --init, --order or
// --log-steps is given, and reads the first two files.
void Session::check_single_task() {
  const std::pair<const char*, const std::string&> single[] = {
      {"init", options_.init}, {"order", options_.order}, {"log-steps", options_.log_steps}};
  for (const auto& [field, value] : single)
    if (!value.empty() && tasks_.size() != 1)
      throw BadValue(field, fmt::format("is for one task, and {} has {}: choose one with --tasks",
                                        options_.data, tasks_.size()));
  if (!options_.init.empty()) {
    const data::WeightFile file = data::read_weights(options_.init);
    if (is_task_file(file)) {
      const TaskFile task = read_task_file(options_.init);
      REPRISE_CHECK(task.backbone_identity == backbone_.identity, "--init {}: learned on another backbone",
                    options_.init);
      check_not_packed(task, "--init");
    }
    init_ = file.tensors;
  }
  if (options_.order.empty()) return;
  order_ = data::read_order_file(options_.order, std::ssize(tasks_[0].task.train));
  std::int64_t steps = 0;
  for (const auto& line : order_)
    steps += (static_cast<std::int64_t>(line.size()) + options_.recipe.batch - 1) / options_.recipe.batch;
  const bool enough = static_cast<int>(order_.size()) >= options_.recipe.epochs ||
                      (options_.recipe.steps > 0 && steps >= options_.recipe.steps);
  REPRISE_CHECK(enough, "--order {}: {} lines for --epochs {}: one line an epoch is needed", options_.order,
                order_.size(), options_.recipe.epochs);
}

void Session::check_finished(TaskData& data) const {
  const TaskFile file = read_task_file(folder_.task_file(data.task.name));
  check_not_packed(file, "training");
  const bool old = file.files_digest.empty();  // a file of an older clr has only the pixels' digests
  if (old) decode(data, data_);
  REPRISE_CHECK(
      old ? file.classes == data.task.classes && file.data_digests == data.digests
          : file.files_digest == data.files_digest,
      "{}: task {} is finished, and its data in {} is no longer what it was learned from\n  file    {}\nGive "
      "the changed data another name or choose another --run, or start anew with --restart",
      folder_.path(), data.task.name, options_.data, file.path);
  data.digests = file.data_digests;
  data.images = {};
}

RecordedBackbone Session::backbone_record() const {
  RecordedBackbone b;
  if (!backbone_.is_none()) b.path = fs::absolute(backbone_.path).string();
  if (options_.copy_backbone) b.copy = "backbone" + fs::path(backbone_.path).extension().string();
  b.file_sha256 = backbone_.file_sha256;
  b.identity = backbone_.identity;
  b.arch = backbone_.arch;
  b.parameters = backbone_.parameters();
  b.bytes = backbone_.bytes();
  return b;
}

Invocation Session::invocation() const {
  Invocation invocation = invocation_on(backbone_.device, backbone_.dtype);
  const auto absolute = [](const std::string& path) {
    return path.empty() ? path : std::filesystem::absolute(path).lexically_normal().string();
  };
  invocation.argv = options_.argv;
  invocation.data = absolute(options_.data);
  invocation.init = absolute(options_.init);
  invocation.order = absolute(options_.order);
  invocation.clip_grey16 = options_.clip_grey16;
  invocation.follow_links = options_.follow_links;
  return invocation;
}

std::vector<TaskOutcome> Session::run() {
  if (tasks_.empty()) return {};
  const RecordedBackbone backbone = backbone_record();
  folder_.begin(backbone, recipe_text(options_.recipe), invocation());
  if (!backbone.copy.empty())
    data::write_file_atomically(folder_.path() + "/" + backbone.copy, data::read_file(backbone_.path));
  std::int64_t images = 0;
  for (const auto& data : tasks_)
    if (!folder_.is_finished(data.task.name)) images += images_to_train(data);
  observer_.begin(images);

  std::vector<TaskOutcome> outcomes(tasks_.size());
  try {
    // A task that another process is learning is tried again
    // at the end: its owner may have been killed.
    std::vector<std::size_t> waiting;
    for (std::size_t i = 0; i < tasks_.size(); ++i) {
      outcomes[i] = learn_and_tell(tasks_[i]);
      if (outcomes[i].status == left_to_another) waiting.push_back(i);
    }
    for (const std::size_t i : waiting) outcomes[i] = learn_and_tell(tasks_[i]);
  } catch (const Interrupted&) {
    observer_.end();
    folder_.end("interrupted", observer_.stop_reason());
    folder_.rebuild_results();
    throw;
  } catch (const Error&) {
    observer_.end();
    folder_.end("failed");
    throw;
  }
  observer_.end();
  folder_.end(std::ranges::count(outcomes, not_readable, &TaskOutcome::status) > 0 ? "failed" : "done");
  folder_.rebuild_results();
  return outcomes;
}

TaskOutcome Session::finished(const std::string& task, const std::string& status) const {
  const TaskFile file = read_task_file(folder_.task_file(task));
  return {task, status, file.val_accuracy, file.test_accuracy, file.best_epoch};
}

TaskOutcome Session::learn_and_tell(TaskData& data) {
  TaskOutcome outcome = learn(data);
  const std::string& name = data.task.name;
  data.images = {};
  if (options_.on_finished && outcome.status != left_to_another && outcome.status != not_readable)
    options_.on_finished(data.task, read_task_file(folder_.task_file(name)), folder_.log_file(name));
  return outcome;
}

TaskOutcome Session::learn(TaskData& data) {
  const std::string& name = data.task.name;
  if (folder_.is_finished(name)) {
    folder_.tidy(name);
    return finished(name, finished_before);
  }
  auto lock = folder_.claim(name);
  if (!lock) {
    observer_.line(fmt::format("{}: another process is learning it", name));
    return {name, left_to_another, {}, {}, {}};
  }
  // Another process may have finished it between the check above and our lock.
  if (folder_.is_finished(name)) {
    check_finished(data);
    lock->remove();
    return finished(name, finished_before);
  }
  try {
    decode(data, data_);
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& e) {
    log_line(fmt::format("clr: {}", e.what()));
    lock->remove();
    return {name, not_readable, {}, {}, {}};
  }
  folder_.add_task(name);
  const TaskOutcome outcome = learn_claimed(data);
  lock->remove();
  return outcome;
}

StateContext Session::context_of(const TaskData& data) const {
  StateContext context;
  context.task = data.task.name;
  context.backbone = backbone_.identity;
  context.recipe = recipe_text(options_.recipe);
  context.data = data.digests;
  context.winograd = winograd_state(backbone_.device);
  context.bf16_order = bf16_order_state(backbone_.device, backbone_.dtype);
  context.instruction_set = instruction_set(backbone_.device);
  return context;
}

TaskOutcome Session::learn_claimed(const TaskData& data) {
  const Recipe& recipe = options_.recipe;
  const std::string& name = data.task.name;
  const int classes = static_cast<int>(data.task.classes.size());
  std::optional<TorchGenerator> generator;  // every task begins with the seed
  if (recipe.rng == "torch") generator.emplace(recipe.seed);
  const auto network = generator ? backbone_.instantiate(recipe.method, classes, *generator)
                                 : backbone_.instantiate(recipe.method, classes, recipe.seed, name);
  if (!init_.empty()) {
    const ErrorScope scope("file", options_.init);
    apply_task(*network, init_);
  }
  std::optional<AnomalyWatch> watch;
  if (options_.anomaly) watch.emplace(*network);

  TrainingJob job;
  job.task = name;
  job.recipe = recipe;
  job.device = backbone_.device;
  job.dtype = backbone_.dtype;
  job.train = data.split("train");
  job.val = data.split("val");
  job.kept = layers::task_tensors(*network);
  job.order = order_;
  job.generator = generator;
  job.state_file = folder_.state_file(name);
  job.log_file = folder_.log_file(name);
  job.steps_file = options_.log_steps;
  job.context = context_of(data);
  observer_.begin_task(name, recipe.epochs, job.train->count());
  const TrainingResult result = train(*network, job, observer_);
  observer_.skip(std::max<std::int64_t>(
      0, images_to_train(data) - job.train->count() * static_cast<std::int64_t>(result.epochs)));

  const TaskFile file = task_file_of(data, *network, result);
  backbone_.verify();
  write_task_file(folder_.task_file(name), file);
  std::filesystem::remove(job.state_file);
  folder_.rebuild_results();
  return {name, result.resumed ? "resumed" : "learned", file.val_accuracy, file.test_accuracy,
          file.best_epoch};
}

TaskFile Session::task_file_of(const TaskData& data, layers::Network& network,
                               const TrainingResult& result) const {
  const Recipe& recipe = options_.recipe;
  TaskFile file;
  file.task = data.task.name;
  file.method = recipe.method;
  file.arch = backbone_.arch;
  file.backbone_identity = backbone_.identity;
  file.classes = data.task.classes;
  file.size = recipe.size;
  file.recipe = recipe_text(recipe);
  file.seed = recipe.seed;
  file.data_digests = data.digests;
  file.files_digest = data.files_digest;
  for (const auto& [split, samples] :
       {std::pair("train", &data.task.train), {"val", &data.task.val}, {"test", &data.task.test}})
    file.images[split] = std::ssize(*samples);
  if (const std::string set = instruction_set(backbone_.device); set != "-") file.instruction_set = set;
  file.best_epoch = result.best_epoch;
  file.train_accuracy = result.best_train;
  file.val_accuracy = result.best_val;
  if (const auto* test = data.split("test")) {
    Inputs inputs(network, *test, backbone_.device, backbone_.dtype, /*features_once=*/false);
    const Evaluation evaluation = evaluate(network, inputs);
    REPRISE_CHECK(std::isfinite(evaluation.loss), "task {}: the test loss is {}: {}", data.task.name,
                  evaluation.loss, backbone_at_fault);
    file.test_accuracy = evaluation.accuracy;
  }
  file.device = recipe.device;
  file.dtype = recipe.dtype;
  file.tensors = task_tensors_of(network);
  return file;
}

}  // namespace reprise::clr
