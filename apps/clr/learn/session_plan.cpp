// What a session will do: its part of the tasks, their images, the memory and the time.
#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "apps/clr/learn/estimate.h"
#include "apps/clr/learn/session.h"
#include "apps/clr/learn/step.h"
#include "apps/clr/learn/table.h"
#include "data/loader/order.h"
#include "engine/base/env.h"
#include "engine/base/log.h"

namespace reprise::clr {
namespace {

RecordedTask facts_of(const TaskData& data) {
  const data::Task& t = data.task;
  return {t.name,      std::ssize(t.classes), std::ssize(t.train), std::ssize(t.val), std::ssize(t.test),
          data.digests};
}

}  // namespace

// Keeps the tasks of this process's shard, the longest first. All
// processes plan over the same tasks, finished or not.
void Session::take_shard() {
  if (options_.shard.count == 1) return;
  std::vector<double> work;
  for (const auto& data : tasks_) work.push_back(work_of(data.task));
  const auto shards = plan_shards(work, options_.shard.count);
  for (const auto& shard : shards) {
    PlannedShard& planned = shards_.emplace_back();
    for (const std::size_t i : shard) {
      planned.tasks.push_back(tasks_[i].task.name);
      planned.images += work[i];
    }
  }
  std::vector<TaskData> mine;
  for (const std::size_t i : shards[options_.shard.index]) mine.push_back(std::move(tasks_[i]));
  tasks_ = std::move(mine);
  if (!options_.quiet)
    log_line(fmt::format("shard {} of {}: {} tasks", options_.shard.index + 1, options_.shard.count,
                         tasks_.size()));
}

void Session::decode_all() {
  for (auto& data : tasks_) {
    if (folder_.is_finished(data.task.name)) continue;
    decode(data, data_);
    if (tasks_.size() > 1) data.images = {};
  }
}

// Keeps decoded images from taking more than half of the memory that this process may use.
void Session::limit_cache() const {
  const std::int64_t half = available_memory(cpu_device) >> 21;  // in MiB
  if (std::getenv("REPRISE_CACHE_MB") == nullptr && half < env_int("REPRISE_CACHE_MB"))
    ::setenv("REPRISE_CACHE_MB", std::to_string(half).c_str(), 1);
}

std::int64_t Session::images_to_train(const TaskData& data) const {
  const std::int64_t all = std::ssize(data.task.train) * options_.recipe.epochs;
  return options_.recipe.steps > 0 ? std::min(all, options_.recipe.steps * options_.recipe.batch) : all;
}

void Session::estimate() {
  const Recipe& recipe = options_.recipe;
  std::vector<TaskImages> counts;
  int classes = 2;
  std::int64_t images = 0, longest = 1;
  for (const auto& data : tasks_) {
    counts.push_back({data.task.name, std::ssize(data.task.train)});
    classes = std::max(classes, static_cast<int>(data.task.classes.size()));
    longest = std::max<std::int64_t>(longest, std::ssize(data.task.train));
    images += std::ssize(data.task.train);
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
    log_line(
        fmt::format("backbone {}{}, method {}, {} tasks, {} training images of {}x{}, expected memory {}",
                    backbone_.arch, backbone_.place.empty() ? "" : " (" + backbone_.place + ")",
                    recipe.method, tasks_.size(), images, recipe.size, recipe.size, bytes_text(memory_)));
  }
  if (recipe.epochs == 0) return;
  check_memory(memory, batch, available_memory(backbone_.device));
  if (order_.empty()) check_last_batch(counts, recipe.batch, least_batch_norm_values(*network, recipe.size));
}

Plan Session::plan() const {
  Plan plan{backbone_record(), recipe_text(options_.recipe), {}, {}, memory_, shards_};
  for (const auto& data : tasks_) {
    plan.tasks.push_back(facts_of(data));
    plan.finished.push_back(folder_.is_finished(data.task.name));
  }
  return plan;
}

double Session::seconds_per_image() {
  if (tasks_.empty()) return 0;
  const Recipe& recipe = options_.recipe;
  TaskData& data = tasks_.front();
  decode(data, data_);
  const auto network = backbone_.instantiate(recipe.method, static_cast<int>(data.task.classes.size()),
                                             recipe.seed, data.task.name);
  Inputs inputs(*network, *data.split("train"), backbone_.device, backbone_.dtype, /*features_once=*/false);
  Learner learner(*network, recipe);
  constexpr std::size_t first = 2, last = 8;  // the first steps also pack filters
  const auto batches =
      data::epoch_batches(inputs.count(), recipe.batch, recipe.seed, data.task.name, 0, true);
  double images = 0;
  auto begin = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < last; ++i) {
    if (i == first) begin = std::chrono::steady_clock::now();
    const auto& batch = batches[i % batches.size()];
    learner.step(inputs, batch);
    if (i >= first) images += static_cast<double>(batch.size());
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / images;
}

}  // namespace reprise::clr
