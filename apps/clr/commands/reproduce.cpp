// clr reproduce: the original program's run, with its constants, its order of tasks and its files.
#include "apps/clr/commands/commands.h"
#include "apps/clr/commands/training.h"
#include "apps/clr/learn/session.h"
#include "apps/clr/original/original_outputs.h"
#include "apps/clr/original/original_program.h"

namespace reprise::clr {
namespace {

struct ReproduceOptions {
  SessionOptions session;
  std::string method = "Ghost_reduced_v1", weights_dir = ".", backbone;
  std::string result = "./result/", weight = "./weight/";
};

void run_reproduce(const ReproduceOptions& given, Common& common) {
  const OriginalProgram& program = find_original_program(given.method);
  SessionOptions session = given.session;
  Recipe& recipe = session.recipe;
  recipe.method = checked_method(std::string(program.method));
  complete(recipe, common);
  session.quiet = common.quiet;
  session.argv = arguments_of_process();

  OriginalOutputs outputs;
  outputs.method = program.method;
  outputs.result_folder = given.result;
  outputs.weight_folder = given.weight;
  if (session.run.empty()) session.run = (std::filesystem::path(given.result) / outputs.method).string();
  outputs.lock_file = (std::filesystem::path(session.run) / "run.lock").string();

  common.begin();
  const SignalGuard signals;
  const std::string path =
      given.backbone.empty() ? find_published_backbone(program, given.weights_dir) : given.backbone;
  const Backbone backbone = backbone_for(recipe.method, common.weights(path),
                                         given.backbone.empty() ? std::string(program.arch) : "auto",
                                         common.resolved_device(), common.resolved_dtype());
  session.on_finished = [&](const data::Task& task, const TaskFile& file, const std::string& log) {
    outputs.write(backbone, file, task, log);
  };
  Progress progress(Progress::style_for(common.quiet));
  Session work(backbone, session, progress);
  work.prepare();
  const auto outcomes = work.run();
  print_outcomes(outcomes, common.json);
  log_line(fmt::format("{}\n{}: state dicts; logs beside the CSV; {}: the run folder", outputs.csv(),
                       given.weight, session.run));
}

}  // namespace

void add_reproduce(CLI::App& app, Common& common) {
  CLI::App& c =
      add_command(app, common, "reproduce", "the original program's run: its constants, order and files");
  const auto o = std::make_shared<ReproduceOptions>();
  SessionOptions& s = o->session;
  s.recipe.size = 224;
  s.clip_grey16 = true;
  c.add_option("--data", s.data, "folder with rolling_releases/database_2.sqlite and original_images/")
      ->required();
  c.add_option("--method", o->method, "as the original names it: Ghost_reduced_v1, Ghost, Linear, ...")
      ->capture_default_str();
  c.add_option("--weights-dir", o->weights_dir,
               "where the pretrained networks are, under their public file names")
      ->capture_default_str();
  c.add_option("--backbone", o->backbone, "this pretrained network instead");
  add_weight_options(c, common);
  c.add_option("--result", o->result, "folder of the CSV and the logs")->capture_default_str();
  c.add_option("--weight", o->weight, "folder of the state dicts")->capture_default_str();
  c.add_option("--run", s.run, "run folder: what a resume needs (default: RESULT/METHOD)");
  c.add_option("--tasks", s.tasks,
               "only these, by id or name, divided by commas; paper53: those of the paper")
      ->delimiter(',');
  add_recipe_options(c, s.recipe,
                     {{"epochs", "for a trial; the original trains 60"},
                      {"size", "for a trial; the original's images are 224 pixels high and wide"},
                      {"rng", "random numbers: streams (this program's own), torch (PyTorch's)"}});
  c.add_flag("--skip-bad", s.recipe.skip_bad, "leave out files that cannot be read");
  c.callback([o, &common] { run_reproduce(*o, common); });
}

}  // namespace reprise::clr
