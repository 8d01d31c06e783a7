// clr reproduce: repeats the original's run, with its constants, its order of tasks and its files.
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
  for (const RecordedTask& task : work.plan().tasks)
    REPRISE_CHECK(
        task.name.size() <= 180,
        "reproduce: task {}: its name has {} bytes, at most 180 are taken, as the original puts the recipe "
        "into the files' names",
        task.name, task.name.size());
  const auto outcomes = work.run();
  print_outcomes(outcomes, common);
  log_line(fmt::format("accuracies   {} (the logs lie beside it)\nstate dicts  {}\nrun folder   {}",
                       outputs.csv(), given.weight, session.run));
}

}  // namespace

void add_reproduce(Command app, Common& common) {
  const Command c =
      add_command(app, common, "reproduce", "repeat the original's run: its constants, order and files");
  const auto o = std::make_shared<ReproduceOptions>();
  SessionOptions& s = o->session;
  s.recipe.size = 224;
  s.clip_grey16 = true;
  c.add_option("--data", s.data, "folder with rolling_releases/database_2.sqlite and original_images/")
      .required();
  c.add_option("--method", o->method, "as the original names it: Ghost_reduced_v1, Ghost, Linear, ...")
      .shows_default();
  c.add_option("--weights-dir", o->weights_dir,
               "folder of the pretrained networks, under their public file names")
      .shows_default();
  c.add_option("--backbone", o->backbone, "use this pretrained network instead");
  add_weight_options(c, common);
  c.add_option("--result", o->result, "folder of the CSV and the logs").shows_default();
  c.add_option("--weight", o->weight, "folder of the state dicts").shows_default();
  c.add_option("--run", s.run, "run folder, which a resume continues (default: RESULT/METHOD)");
  add_tasks_option(c, s.tasks);
  add_recipe_options(c, s.recipe,
                     {{"epochs", "number of epochs, for a trial; the original trains 60"},
                      {"size", "height and width of the images, for a trial; the original's are 224"},
                      {"rng", "random numbers: streams (this program's own), torch (PyTorch's)"}});
  c.add_flag("--skip-bad", s.recipe.skip_bad, "leave out files that cannot be read");
  add_follow_links(c, s.follow_links);
  c.callback([o, &common] { run_reproduce(*o, common); });
}

}  // namespace reprise::clr
