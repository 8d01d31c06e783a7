#include "apps/clr/audit/trial.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/clr/learn/estimate.h"
#include "apps/clr/learn/session.h"
#include "data/loader/order.h"
#include "data/sets/find_tasks.h"
#include "engine/core/check.h"
#include "layers/summary.h"

namespace reprise::clr {
namespace {

// Checked before anything is read.
Recipe checked_recipe(Recipe recipe, const Common& common) {
  recipe.method = find_method_name(recipe.method);
  recipe.seed = common.seed;
  recipe.device = name_of(common.resolved_device().kind);
  recipe.dtype = name_of(common.resolved_dtype());
  check(recipe);
  return recipe;
}

}  // namespace

CLI::Option* add_trial_options(CLI::App& c, TrialOptions& o) {
  Recipe& r = o.recipe;
  c.add_option("--backbone", o.backbone,
               "weight file of the pretrained network; none for the method scratch");
  c.add_option("--arch", o.arch, "its architecture (auto: the one that fits its file)")
      ->capture_default_str();
  CLI::Option* data = c.add_option("--data", o.data, data_help)->required();
  c.add_option("--task", o.task, "train on this task of the data (default: the first)");
  c.add_option("--method", r.method, "as of `clr train`")->capture_default_str();
  c.add_option("--size", r.size, "height and width of the images (default: what the backbone was made for)")
      ->check(CLI::Range(1, 8192));
  c.add_option("--batch", r.batch, "images a step")->capture_default_str();
  c.add_option("--lr", r.lr, "learning rate")->capture_default_str();
  c.add_option("--optimizer", r.optimizer, "adam, sgd (momentum 0.9)")->capture_default_str();
  c.add_option("--penalty", r.penalty, "norms added to the loss: l2, l1, l12, none")->capture_default_str();
  c.add_option("--steps", r.steps, "how many steps")->check(CLI::Range(1, 1 << 30))->capture_default_str();
  return data;
}

Trial::Trial(TrialOptions options, const Common& common) : options_(std::move(options)) {
  Recipe& recipe = options_.recipe = checked_recipe(options_.recipe, common);
  common.begin();
  backbone_ = backbone_for(recipe.method, options_.backbone, options_.arch, common.resolved_device(),
                           common.resolved_dtype());
  if (recipe.size == 0) recipe.size = backbone_.size;
  DataOptions data;
  data.dir = options_.data;
  data.size = recipe.size;
  data.cache_dir = (std::filesystem::temp_directory_path() / "clr-audit").string();
  data.quiet = common.quiet;
  if (options_.task.empty()) {
    const auto tasks = data::find_tasks(options_.data, data.sets);
    REPRISE_CHECK(!tasks.empty(), "{}: no task found", options_.data);
    options_.task = tasks.front().name;
  }
  data.sets.tasks = {options_.task};
  data_ = std::make_unique<TaskData>(std::move(load_tasks(data).at(0)));

  const auto network = backbone_.instantiate(recipe.method, static_cast<int>(data_->task.classes.size()),
                                             recipe.seed, "estimate");
  const std::int64_t images = data_->images.train->count();
  check_memory(estimate_memory(*network, recipe.size, backbone_.dtype),
               std::min<std::int64_t>(recipe.batch, images), available_memory(backbone_.device));
  check_last_batch({{task(), images}}, recipe.batch, least_batch_norm_values(*network, recipe.size));
}

std::string Trial::describe() const {
  const Recipe& r = options_.recipe;
  return fmt::format("{} step{} of {} images of {}x{}, {}, method {}, task {}", r.steps,
                     r.steps == 1 ? "" : "s", r.batch, r.size, r.size, backbone_.arch, r.method, task());
}

std::int64_t Trial::memory() const {
  const Recipe& r = options_.recipe;
  const auto network =
      backbone_.instantiate(r.method, static_cast<int>(data_->task.classes.size()), r.seed, "estimate");
  return estimate_memory(*network, r.size, backbone_.dtype).of_batch(r.batch);
}

double Trial::flops() const {
  const Recipe& r = options_.recipe;
  const auto network =
      backbone_.instantiate(r.method, static_cast<int>(data_->task.classes.size()), r.seed, "estimate");
  double one_image = 0;
  for (const layers::LayerRow& row : layers::summarize(*network, r.size, r.size))
    one_image += static_cast<double>(row.flops);
  return 3 * one_image * static_cast<double>(r.batch * r.steps);
}

TrialTraining::TrialTraining(const Trial& trial)
    : trial_(trial),
      network_(trial.backbone_.instantiate(trial.recipe().method,
                                           static_cast<int>(trial.data().task.classes.size()),
                                           trial.recipe().seed, trial.task())),
      learner_(*network_, trial.recipe()),
      inputs_(*network_, *trial.data().split("train"), trial.backbone_.device, trial.backbone_.dtype,
              /*features_once=*/false) {}

StepResult TrialTraining::step() {
  const Recipe& r = trial_.recipe();
  if (batches_.empty()) {
    batches_ = data::epoch_batches(inputs_.count(), r.batch, r.seed, trial_.task(), epoch_++, true);
    std::reverse(batches_.begin(), batches_.end());
  }
  const std::string place = fmt::format("{}, step {}", trial_.task(), ++steps_);
  const ErrorScope scope("task", place);
  const auto images = std::move(batches_.back());
  batches_.pop_back();
  return learner_.step(inputs_, images);
}

}  // namespace reprise::clr
