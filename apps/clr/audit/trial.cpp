#include "apps/clr/audit/trial.h"

#include "apps/clr/audit/cost.h"
#include "apps/clr/commands/training.h"
#include "apps/clr/learn/estimate.h"
#include "data/loader/order.h"

namespace reprise::clr {
Option add_trial_options(Command c, TrialOptions& o, int steps) {
  o.recipe.batch = 8;
  o.recipe.steps = steps;
  c.add_option("--backbone", o.backbone,
               "weight file of the pretrained network; none for the method scratch");
  c.add_option("--arch", o.arch, "its architecture (auto: the one that fits its file)").shows_default();
  const Option data = c.add_option("--data", o.data, data_help).required();
  c.add_option("--task", o.task, "train on this task of the data (default: the first)");
  add_recipe_options(c, o.recipe,
                     {{"method", "the method, as for `clr train`"},
                      {"size", "height and width of the images (default: what the backbone was made for)"},
                      {"batch", "images a step"},
                      {"lr", "learning rate"},
                      {"optimizer", "adam, sgd (momentum 0.9)"},
                      {"penalty", "norms added to the loss: l2, l1, l12, none"},
                      {"steps", "number of steps"}});
  add_follow_links(c, o.follow_links);
  return data;
}

Trial::Trial(TrialOptions options, const Common& common) : options_(std::move(options)) {
  Recipe& recipe = options_.recipe;  // checked before anything is read
  recipe.method = checked_method(recipe.method);
  complete(recipe, common);
  common.begin();
  backbone_ = backbone_for(recipe.method, common.weights(options_.backbone), options_.arch,
                           common.resolved_device(), common.resolved_dtype());
  if (recipe.size == 0) recipe.size = backbone_.size;
  DataOptions data{options_.data, {}, recipe.size, common.quiet, stop_requested};
  data.sets.follow_links = options_.follow_links;
  if (options_.task.empty()) {
    const auto tasks = data::find_tasks(options_.data, data.sets);
    REPRISE_CHECK(!tasks.empty(), "{}: no task found", options_.data);
    options_.task = tasks.front().name;
  }
  data.sets.tasks = {options_.task};
  data_ = std::make_unique<TaskData>(std::move(find_task_data(data).at(0)));
  decode(*data_, data);

  const auto network = backbone_.instantiate(recipe.method, static_cast<int>(data_->task.classes.size()),
                                             recipe.seed, "estimate");
  const std::int64_t images = data_->images.train->count();
  const MemoryEstimate memory = estimate_memory(*network, recipe.size, backbone_.dtype);
  check_memory(memory, std::min<std::int64_t>(recipe.batch, images), available_memory(backbone_.device));
  check_last_batch({{task(), images}}, recipe.batch, least_batch_norm_values(*network, recipe.size));
  memory_ = memory.of_batch(recipe.batch);
  flops_ = 3 * flops_of_image(*network, recipe.size) * static_cast<double>(recipe.batch * recipe.steps);
}

std::string Trial::describe() const {
  const Recipe& r = options_.recipe;
  return fmt::format("{} step{} of {} images of {}x{}, {}, method {}, task {}", r.steps,
                     r.steps == 1 ? "" : "s", r.batch, r.size, r.size, backbone_.arch, r.method, task());
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
