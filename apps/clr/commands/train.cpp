// clr train: learns every task of a folder on one backbone, into one run folder.
#include "apps/clr/commands/commands.h"
#include "apps/clr/commands/training.h"

namespace reprise::clr {
namespace {

struct TrainOptions {
  SessionOptions session;
  std::string backbone, arch = "auto";
  std::optional<std::string> shard;
  bool restart = false, dry_run = false;
};

void print_shards(const Plan& plan, double seconds) {
  Table table({"shard", "images an epoch", "at most", "tasks"}, {false, false, false, true});
  for (std::size_t i = 0; i < plan.shards.size(); ++i)
    table.row({std::to_string(i + 1), grouped(std::llround(plan.shards[i].images)),
               duration_text(plan.shards[i].images * seconds),
               fmt::format("{}", fmt::join(plan.shards[i].tasks, " "))});
  print(table.text());
}

// `seconds`: what an image of an epoch's work takes in all epochs.
void print_plan(const Plan& plan, double seconds) {
  Json tasks = Json::array(), shards = Json::array();
  for (const auto& [names, images] : plan.shards)
    shards.push_back({{"tasks", names}, {"images", images}, {"seconds", images * seconds}});
  for (std::size_t i = 0; i < plan.tasks.size(); ++i) {
    Json task = {{"name", plan.tasks[i].name}};
    task.update(to_json(plan.tasks[i]));
    task["finished"] = static_cast<bool>(plan.finished[i]);
    tasks.push_back(task);
  }
  print_json({{"backbone", to_json(plan.backbone)},
              {"recipe", Json::parse(plan.recipe)},
              {"tasks", tasks},
              {"memory", plan.memory},
              {"shards", shards}});
}

void run_train(const TrainOptions& options, Common& common) {
  const SignalGuard signals;
  SessionOptions session = options.session;
  if (options.shard) session.shard = shard_of(*options.shard);
  session.recipe.method = checked_method(session.recipe.method);
  complete(session.recipe, common);
  common.begin();
  const Backbone backbone = backbone_for(session.recipe.method, common.weights(options.backbone),
                                         options.arch, common.resolved_device(), common.resolved_dtype());
  if (backbone.is_none() && session.copy_backbone)
    throw UsageError("--copy-backbone: method " + session.recipe.method + " has no backbone");
  if (session.recipe.size == 0) session.recipe.size = backbone.size;
  session.quiet = common.quiet;
  session.argv = arguments_of_process();
  if (options.restart && !options.dry_run) RunFolder(session.run).restart();
  Progress progress(Progress::style_for(common.quiet));
  Session work(backbone, session, progress);
  work.prepare();
  if (!options.dry_run) return print_outcomes(work.run(), common);
  work.decode_all();
  const Plan plan = work.plan();
  const double seconds = plan.shards.empty() ? 0 : work.seconds_per_image() * session.recipe.epochs;
  if (common.json) return print_plan(plan, seconds);
  if (!plan.shards.empty()) print_shards(plan, seconds);
}

}  // namespace

void add_train(Command app, Common& common) {
  const Command c = add_command(app, common, "train", "learn every task of a folder on a frozen backbone");
  auto options = std::make_shared<TrainOptions>();
  SessionOptions& s = options->session;
  c.add_option("--backbone", options->backbone,
               "weight file of the pretrained network; none for the method scratch");
  add_weight_options(c, common);
  c.add_option("--data", s.data, data_help).required();
  c.add_option("--run", s.run, "run folder, made if needed").required();
  add_tasks_option(c, s.tasks);
  const Option shard = c.add_option(
      "--shard", options->shard,
      "I/N: this process takes the I-th of N parts of the tasks, the same parts in every process; auto: "
      "as Slurm's, Open MPI's or PMI's variables say");
  c.add_option("--arch", options->arch, "architecture of the backbone (auto: the one that fits its file)")
      .shows_default();
  Recipe& r = s.recipe;
  add_recipe_options(c, r,
                     {{"method",
                       "clr, clr-full, clr-mixed, clr-residual, side-conv, linear, bn-only, finetune or "
                       "scratch: what is added to the network, and what is trained"},
                      {"size", "height and width of the images (default: what the backbone was made for)"},
                      {"epochs", "number of epochs; 0 only writes the initial task files"},
                      {"batch", "images a step"},
                      {"lr", "learning rate"},
                      {"lr-step", "epochs between two decays (default: a third of the epochs)"},
                      {"gamma", "factor of each decay of the learning rate"},
                      {"penalty", "norms added to the loss: l2, l1, l12, none"},
                      {"lambda", "factor of the penalty"},
                      {"patience", "stop when the best epoch is more than so many epochs old"},
                      {"optimizer", "adam, sgd (momentum 0.9)"},
                      {"rng", "random numbers: streams (this program's own), torch (PyTorch's)"},
                      {"steps", "at most so many steps a task"}});
  add_split_options(c, r.val_fraction, r.max_images, r.skip_bad);
  add_follow_links(c, s.follow_links);
  c.add_option("--init", s.init, "start values by name, from a task file (one task only)");
  c.add_option("--order", s.order, "file with image indices, one line for each epoch (one task only)");
  c.add_option("--log-steps", s.log_steps, "CSV with the loss of every step (one task only)");
  c.add_flag(
      "--anomaly", s.anomaly,
      "stop at the first value that is not finite, and name the kernel, layer, element and the inputs' "
      "ranges (slower, with the same results)");
  c.add_flag("--dry-run", options->dry_run, "check everything, train nothing, write nothing");
  c.add_flag("--copy-backbone", s.copy_backbone, "put a copy of the backbone into the run folder");
  c.add_flag("--restart", options->restart, "first remove what clr wrote into the run folder")
      .excludes(shard);
  c.callback([options, &common] { run_train(*options, common); });
}

}  // namespace reprise::clr
