// clr train: learns every task of a folder on one backbone, into one run folder.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/clr/commands/commands.h"
#include "apps/clr/commands/signals.h"
#include "apps/clr/learn/backbone.h"
#include "apps/clr/learn/estimate.h"
#include "apps/clr/learn/run_folder.h"
#include "apps/clr/learn/session.h"
#include "engine/core/check.h"
#include "engine/core/log.h"
#include "layers/reprogramming/method.h"

namespace reprise::clr {
namespace {

struct TrainOptions {
  SessionOptions session;
  data::SetOptions sets;  // what goes into the recipe
  std::string backbone, arch = "auto";
  bool restart = false, dry_run = false, copy_backbone = false;
};

void run_train(const TrainOptions& given, Common& common) {
  TrainOptions options = given;
  SessionOptions& session = options.session;
  session.recipe.device = name_of(common.resolved_device().kind);
  session.recipe.dtype = name_of(common.resolved_dtype());
  session.recipe.seed = common.seed;
  session.recipe.method = find_method_name(session.recipe.method);
  session.recipe.val_fraction = options.sets.val_fraction;
  session.recipe.max_images = options.sets.max_images;
  session.recipe.skip_bad = options.sets.skip_bad;
  check(session.recipe);
  common.begin();
  const SignalGuard signals;
  const Backbone backbone = backbone_for(session.recipe.method, options.backbone, options.arch,
                                         common.resolved_device(), common.resolved_dtype());
  if (backbone.is_none() && options.copy_backbone)
    throw UsageError("--copy-backbone: method " + session.recipe.method + " has no backbone");
  if (session.recipe.size == 0) session.recipe.size = backbone.size;
  session.quiet = common.quiet;
  session.argv = arguments_of_process();
  session.copy_backbone = options.copy_backbone;
  if (options.restart && !options.dry_run) RunFolder(session.run).restart();
  Session work(backbone, session);
  work.prepare();
  if (options.dry_run) {
    if (common.json) print_json(work.plan());
    return;
  }
  print_outcomes(work.run(), common.json);
}

void add_recipe_options(CLI::App& command, Recipe& r) {
  command.add_option("--method", r.method, "what is put behind the frozen convolutions and trained")
      ->capture_default_str();
  command
      .add_option("--size", r.size,
                  "height and width of the images (default: what the backbone was made for)")
      ->check(CLI::Range(1, 8192));
  command.add_option("--epochs", r.epochs, "0 writes initial task files")->capture_default_str();
  command.add_option("--batch", r.batch, "images a step")->capture_default_str();
  command.add_option("--lr", r.lr, "learning rate")->capture_default_str();
  command.add_option("--lr-step", r.lr_step, "epochs between two decays (default: a third of the epochs)")
      ->check(CLI::Range(1, 1000000));
  command.add_option("--gamma", r.gamma, "factor of a decay")->capture_default_str();
  command.add_option("--penalty", r.penalty, "norms added to the loss: l2, l1, l12, none")
      ->capture_default_str();
  command.add_option("--lambda", r.lambda, "factor of the penalty")->capture_default_str();
  command.add_option("--patience", r.patience, "stop when the best epoch is more than so many epochs old")
      ->capture_default_str();
  command.add_option("--optimizer", r.optimizer, "adam, sgd (momentum 0.9)")->capture_default_str();
  command.add_option("--rng", r.rng, "random numbers: streams (this program's own), torch (PyTorch's)")
      ->capture_default_str();
  command.add_option("--steps", r.steps, "at most so many steps a task")->check(CLI::Range(1, 1 << 30));
}

}  // namespace

void add_train(CLI::App& app, Common& common) {
  CLI::App& command = add_command(app, common, "train", "learn every task of a folder on a frozen backbone");
  auto options = std::make_shared<TrainOptions>();
  SessionOptions& s = options->session;
  command.add_option("--backbone", options->backbone,
                     "weight file of the pretrained network; none for the method scratch");
  command.add_option("--data", s.data, data_help)->required();
  command.add_option("--run", s.run, "run folder, made if needed")->required();
  command
      .add_option("--tasks", s.tasks,
                  "only these, by name or id, in this order, divided by commas; paper53: those of the paper")
      ->delimiter(',');
  command
      .add_option("--arch", options->arch, "architecture of the backbone (auto: the one that fits its file)")
      ->capture_default_str();
  add_recipe_options(command, s.recipe);
  add_split_options(command, options->sets);
  command.add_option("--init", s.init, "start values by name, from a task file (one task only)");
  command.add_option("--order", s.order, "file with one epoch's image indices a line (one task only)");
  command.add_option("--log-steps", s.log_steps, "CSV with the loss of every step (one task only)");
  command.add_flag(
      "--anomaly", s.anomaly,
      "read what every kernel writes and stop at the first value that is not finite, naming kernel, "
      "layer, element and the inputs' ranges (half as slow again; the results are the same)");
  command.add_flag("--dry-run", options->dry_run, "check everything, train nothing, write nothing");
  command.add_flag("--copy-backbone", options->copy_backbone,
                   "put a copy of the backbone into the run folder");
  command.add_flag("--restart", options->restart, "remove what clr wrote into the run folder before");
  command.callback([options, &common] { run_train(*options, common); });
}

}  // namespace reprise::clr
