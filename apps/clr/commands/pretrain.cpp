// clr pretrain: trains a whole network on one task and writes it as a backbone.
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/clr/commands/commands.h"
#include "apps/clr/commands/signals.h"
#include "apps/clr/learn/backbone.h"
#include "apps/clr/learn/estimate.h"
#include "apps/clr/learn/table.h"
#include "apps/clr/learn/task_data.h"
#include "apps/clr/learn/trainer.h"
#include "data/weights/layout.h"
#include "data/weights/weight_file.h"
#include "engine/core/check.h"
#include "engine/core/log.h"
#include "layers/network.h"

namespace reprise::clr {
namespace {

struct PretrainOptions {
  std::string data, task, arch = "resnet20", output;
  Recipe recipe;
  data::SetOptions sets;
};

TaskData load_one_task(const PretrainOptions& options, bool quiet) {
  DataOptions data;
  data.dir = options.data;
  data.sets = options.sets;
  if (!options.task.empty()) data.sets.tasks = {options.task};
  data.size = options.recipe.size;
  data.cache_dir = options.output + ".cache";
  data.quiet = quiet;
  auto tasks = load_tasks(data);
  if (tasks.size() != 1)
    throw UsageError(fmt::format("--task: {} has {} tasks; a backbone is trained on one of them",
                                 options.data, tasks.size()));
  return std::move(tasks[0]);
}

void write_backbone(const PretrainOptions& options, layers::Network& network, const TaskData& data) {
  std::vector<data::NamedTensor> tensors;
  for (const layers::Entry& e : network.named_tensors())
    tensors.push_back({e.name, data::to_file_layout(e.tensor->to(cpu_device), e.layout).clone()});
  data::write_safetensors(options.output, tensors,
                          backbone_metadata(options.arch, options.recipe.size, data.task.classes));
}

// The recipe of what was asked for, checked.
Recipe recipe_of(const PretrainOptions& options, const Common& common) {
  Recipe recipe = options.recipe;
  checked_architecture(options.arch);
  recipe.method = "pretrain";
  recipe.seed = common.seed;
  recipe.device = name_of(common.resolved_device().kind);
  recipe.dtype = name_of(common.resolved_dtype());
  recipe.val_fraction = options.sets.val_fraction;
  recipe.max_images = options.sets.max_images;
  recipe.skip_bad = options.sets.skip_bad;
  if (recipe.size == 0) recipe.size = layers::make_network(options.arch, 2)->default_size();
  check(recipe);
  return recipe;
}

std::unique_ptr<layers::Network> new_network(const PretrainOptions& options, const TaskData& data,
                                             const Common& common) {
  auto network = layers::make_network(options.arch, static_cast<int>(data.task.classes.size()));
  network->initialize(options.recipe.seed);
  network->to(common.resolved_dtype());
  network->to(common.resolved_device());
  network->train();
  const std::int64_t images = data.images.train->count(), batch = options.recipe.batch;
  const int size = options.recipe.size;
  check_memory(estimate_memory(*network, size, common.resolved_dtype()), std::min(batch, images),
               available_memory(common.resolved_device()));
  check_last_batch({{data.task.name, images}}, batch, least_batch_norm_values(*network, size));
  return network;
}

void run_pretrain(const PretrainOptions& given, Common& common) {
  PretrainOptions options = given;
  options.recipe = recipe_of(given, common);
  common.begin();
  const SignalGuard signals;
  const TaskData data = load_one_task(options, common.quiet);
  const auto network = new_network(options, data, common);

  TrainingJob job;
  job.task = data.task.name;
  job.recipe = options.recipe;
  job.device = common.resolved_device();
  job.dtype = common.resolved_dtype();
  job.train = data.split("train");
  job.val = data.split("val");
  job.kept = network->named_tensors();
  job.state_file = options.output + ".state";
  job.context = {{"task", data.task.name},
                 {"architecture", options.arch},
                 {"recipe", to_json(options.recipe)},
                 {"data", data.digests},
                 {"instruction set", instruction_set(job.device)}};
  TrainingResult result;
  {
    Progress progress(Progress::style_for(common.quiet), job.train->count() * options.recipe.epochs);
    progress.begin_task(job.task, options.recipe.epochs, job.train->count());
    result = train(*network, job, progress);
  }
  write_backbone(options, *network, data);
  std::filesystem::remove(job.state_file);
  if (common.json)
    print_json({{"output", options.output},
                {"best_epoch", result.best_epoch},
                {"val_accuracy", result.best_val ? Json(*result.best_val) : Json(nullptr)}});
  else
    print(fmt::format("{}: {} trained on {}, best epoch {} of {}, val {}\n", options.output, options.arch,
                      job.task, result.best_epoch, result.epochs,
                      result.best_val ? percent(*result.best_val) : "-"));
}

}  // namespace

void add_pretrain(CLI::App& app, Common& common) {
  CLI::App& command =
      add_command(app, common, "pretrain", "train a whole network on one task, as a backbone");
  auto options = std::make_shared<PretrainOptions>();
  Recipe& r = options->recipe;
  r.epochs = 15;
  r.optimizer = "sgd";
  r.lr = 0.05;
  r.weight_decay = 5e-4;
  r.schedule = "cosine";
  r.penalty = "none";
  r.patience = 1000000;
  command.add_option("--data", options->data, data_help)->required();
  command.add_option("--task", options->task,
                     "the task to train on (may be left out where there is only one)");
  command.add_option("--arch", options->arch, "architecture")->capture_default_str();
  command.add_option("--output", options->output, "the backbone's file, safetensors")->required();
  command
      .add_option("--size", r.size,
                  "height and width of the images (default: what the architecture is made for)")
      ->check(CLI::Range(1, 8192));
  command.add_option("--epochs", r.epochs)->capture_default_str();
  command.add_option("--batch", r.batch, "images a step")->capture_default_str();
  command.add_option("--lr", r.lr, "learning rate")->capture_default_str();
  command.add_option("--optimizer", r.optimizer, "adam, sgd")->capture_default_str();
  command.add_option("--momentum", r.momentum, "of sgd")->capture_default_str();
  command.add_option("--weight-decay", r.weight_decay)->capture_default_str();
  command.add_option("--schedule", r.schedule, "of the learning rate: cosine, step")->capture_default_str();
  add_split_options(command, options->sets);
  command.callback([options, &common] { run_pretrain(*options, common); });
}

}  // namespace reprise::clr
