// clr pretrain: trains a whole network on one task and writes it as a backbone.
#include "apps/clr/commands/commands.h"
#include "apps/clr/commands/training.h"
#include "apps/clr/learn/estimate.h"
#include "apps/clr/learn/surroundings.h"
#include "layers/state_dict.h"

namespace reprise::clr {
namespace {

struct PretrainOptions {
  std::string data, task, arch = "resnet20", output;
  Recipe recipe;
  bool follow_links = false;
};

TaskData load_one_task(const PretrainOptions& options, bool quiet) {
  DataOptions data{options.data, sets_of(options.recipe), options.recipe.size, quiet, stop_requested};
  if (!options.task.empty()) data.sets.tasks = {options.task};
  data.sets.follow_links = options.follow_links;
  auto tasks = find_task_data(data);
  if (tasks.size() != 1)
    throw UsageError(
        fmt::format("--task: {} has {} tasks; name the one to train on", options.data, tasks.size()));
  decode(tasks[0], data);
  return std::move(tasks[0]);
}

// Returns the recipe with its missing values filled in, checked.
Recipe recipe_of(const PretrainOptions& options, const Common& common) {
  Recipe recipe = options.recipe;
  checked_architecture(options.arch);
  recipe.method = "pretrain";
  if (recipe.size == 0) recipe.size = layers::make_network(options.arch, 2)->default_size();
  complete(recipe, common);
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
  job.context.task = data.task.name;
  job.context.architecture = options.arch;
  job.context.recipe = recipe_text(options.recipe);
  job.context.data = data.digests;
  job.context.bf16_order = bf16_order_state(job.device, job.dtype);
  job.context.instruction_set = instruction_set(job.device);
  TrainingResult result;
  {
    Progress progress(Progress::style_for(common.quiet));
    progress.begin(job.train->count() * options.recipe.epochs);
    progress.begin_task(job.task, options.recipe.epochs, job.train->count());
    result = train(*network, job, progress);
  }
  data::write_safetensors(options.output, layers::state_dict(*network),
                          backbone_metadata(options.arch, options.recipe.size, data.task.classes));
  std::filesystem::remove(job.state_file);
  if (common.json)
    print_json({{"output", options.output},
                {"best_epoch", result.best_epoch},
                {"val_accuracy", number_or_null(result.best_val)}});
  else
    print(fmt::format("{}: {} trained on {}, best epoch {} of {}, val {}\n", options.output, options.arch,
                      job.task, result.best_epoch, result.epochs,
                      result.best_val ? percent(*result.best_val) : "-"));
}

}  // namespace

void add_pretrain(Command app, Common& common) {
  const Command c =
      add_command(app, common, "pretrain", "train a whole network on one task, to be used as a backbone");
  auto options = std::make_shared<PretrainOptions>();
  Recipe& r = options->recipe;
  r.epochs = 15;
  r.optimizer = "sgd";
  r.lr = 0.05;
  r.weight_decay = 5e-4;
  r.schedule = "cosine";
  r.penalty = "none";
  r.patience = 1000000;
  c.add_option("--data", options->data, data_help).required();
  c.add_option("--task", options->task, "the task to train on (not needed if there is only one)");
  c.add_option("--arch", options->arch, "architecture").shows_default();
  c.add_option("--output", options->output, "the backbone's file to write, safetensors").required();
  add_recipe_options(c, r,
                     {{"size", "height and width of the images (default: what the architecture is made for)"},
                      {"epochs", "number of epochs"},
                      {"batch", "images a step"},
                      {"lr", "learning rate"},
                      {"optimizer", "adam, sgd"},
                      {"momentum", "momentum of sgd"},
                      {"weight-decay", "this multiple of each parameter is added to its gradient"},
                      {"schedule", "schedule of the learning rate: cosine, step"}});
  add_split_options(c, r.val_fraction, r.max_images, r.skip_bad);
  add_follow_links(c, options->follow_links);
  c.callback([options, &common] { run_pretrain(*options, common); });
}

}  // namespace reprise::clr
