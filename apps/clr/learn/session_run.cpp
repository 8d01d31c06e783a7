// The part of a session that trains.
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/clr/commands/signals.h"
#include "apps/clr/learn/anomaly.h"
#include "apps/clr/learn/session.h"
#include "apps/clr/learn/step.h"
#include "apps/clr/learn/trainer.h"
#include "data/image/image.h"
#include "data/io/file.h"
#include "engine/core/check.h"
#include "engine/core/gpu.h"
#include "engine/core/log.h"
#include "engine/core/parallel.h"
#include "layers/reprogramming/method.h"

namespace reprise::clr {
namespace {

Json invocation_record(const SessionOptions& options, Device device, DType dtype) {
  return {{"argv", options.argv},
          {"version", version()},
          {"compiler", compiler()},
          {"flags", build_flags()},
          {"device", to_string(device)},
          {"instruction_set", instruction_set(device)},
          {"winograd", winograd_state(device)},
          {"bf16_order", bf16_order_state(device, dtype)},
          {"tf32", gpu::tf32()},
          {"threads", thread_count()},
          {"decoders", data::decoder_versions()}};
}

}  // namespace

std::vector<TaskOutcome> Session::run() {
  const std::size_t invocation =
      folder_.begin(backbone_record(), to_json(options_.recipe),
                    invocation_record(options_, backbone_.device, backbone_.dtype));
  if (options_.copy_backbone)
    data::write_file_atomically(folder_.path() + "/" + backbone_record()["copy"].get<std::string>(),
                                data::read_file(backbone_.path));
  std::int64_t images = 0;
  for (const auto& data : tasks_)
    if (!folder_.is_finished(data.task.name)) images += images_to_train(data);
  progress_.emplace(Progress::style_for(options_.quiet), images);

  std::vector<TaskOutcome> outcomes(tasks_.size());
  try {
    // A task that another process has is asked for once more at the end: its owner may be gone by then.
    std::vector<std::size_t> waiting;
    for (std::size_t i = 0; i < tasks_.size(); ++i) {
      outcomes[i] = learn_and_tell(tasks_[i]);
      if (outcomes[i].status == left_to_another) waiting.push_back(i);
    }
    for (const std::size_t i : waiting) outcomes[i] = learn_and_tell(tasks_[i]);
  } catch (const Interrupted&) {
    progress_.reset();
    folder_.end(invocation, "interrupted");
    folder_.rebuild_results();
    throw;
  } catch (const Error&) {
    progress_.reset();
    folder_.end(invocation, "failed");
    throw;
  }
  progress_.reset();
  folder_.end(invocation, "done");
  folder_.rebuild_results();
  return outcomes;
}

TaskOutcome Session::finished(const std::string& task, const std::string& status) const {
  const TaskFile file = read_task_file(folder_.task_file(task));
  return {task, status, file.val_accuracy, file.test_accuracy, file.best_epoch};
}

TaskOutcome Session::learn_and_tell(const TaskData& data) {
  TaskOutcome outcome = learn(data);
  const std::string& name = data.task.name;
  if (options_.on_finished && outcome.status != left_to_another)
    options_.on_finished(data.task, read_task_file(folder_.task_file(name)), folder_.log_file(name));
  return outcome;
}

TaskOutcome Session::learn(const TaskData& data) {
  const std::string& name = data.task.name;
  if (folder_.is_finished(name)) {
    folder_.tidy(name);
    return finished(name, finished_before);
  }
  auto lock = folder_.claim(name);
  if (!lock) {
    progress_->line(fmt::format("{}: another process is learning it", name));
    return {name, left_to_another, {}, {}, {}};
  }
  // Its owner may have finished it between our look and our lock.
  if (folder_.is_finished(name)) {
    check_finished(data);
    lock->remove();
    return finished(name, finished_before);
  }
  folder_.add_task(name, facts_of(data));
  const TaskOutcome outcome = learn_claimed(data);
  lock->remove();
  return outcome;
}

// What a half-learned task must find unchanged.
Json Session::context_of(const TaskData& data) const {
  return {{"task", data.task.name},
          {"backbone", backbone_.identity},
          {"recipe", to_json(options_.recipe)},
          {"data", data.digests},
          {"winograd", winograd_state(backbone_.device)},
          {"bf16 order", bf16_order_state(backbone_.device, backbone_.dtype)},
          {"instruction set", instruction_set(backbone_.device)}};
}

TaskOutcome Session::learn_claimed(const TaskData& data) {
  const Recipe& recipe = options_.recipe;
  const std::string& name = data.task.name;
  const int classes = static_cast<int>(data.task.classes.size());
  std::optional<TorchGenerator> generator;  // every task begins with the seed
  if (recipe.rng == "torch") generator.emplace(recipe.seed);
  const auto network = generator ? backbone_.instantiate(recipe.method, classes, *generator)
                                 : backbone_.instantiate(recipe.method, classes, recipe.seed, name);
  if (!init_.empty()) apply_task(*network, init_);
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
  progress_->begin_task(name, recipe.epochs, job.train->count());
  const TrainingResult result = train(*network, job, *progress_);
  progress_->skip(std::max<std::int64_t>(
      0, images_to_train(data) - job.train->count() * static_cast<std::int64_t>(result.epochs)));

  TaskFile file;
  file.task = name;
  file.method = recipe.method;
  file.arch = backbone_.arch;
  file.backbone_identity = backbone_.identity;
  file.backbone_file_sha256 = backbone_.file_sha256;
  file.classes = data.task.classes;
  file.size = recipe.size;
  file.recipe = to_json(recipe);
  file.seed = recipe.seed;
  file.data_digests = data.digests;
  file.best_epoch = result.best_epoch;
  file.train_accuracy = result.best_train;
  file.val_accuracy = result.best_val;
  if (const auto* test = data.split("test")) {
    Inputs inputs(*network, *test, backbone_.device, backbone_.dtype, /*features_once=*/false);
    file.test_accuracy = evaluate(*network, inputs).accuracy;
  }
  file.device = recipe.device;
  file.dtype = recipe.dtype;
  file.tensors = task_tensors_of(*network);
  backbone_.verify();
  write_task_file(folder_.task_file(name), file);
  std::filesystem::remove(job.state_file);
  folder_.rebuild_results();
  return {name, result.resumed ? "resumed" : "learned", file.val_accuracy, file.test_accuracy,
          file.best_epoch};
}

}  // namespace reprise::clr
