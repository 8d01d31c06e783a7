// clr eval: evaluates every learned task of a run again and shows what was forgotten.
#include "apps/clr/commands/eval_map.h"
#include "apps/clr/commands/predict.h"
#include "apps/clr/commands/training.h"
#include "apps/clr/learn/step.h"
#include "apps/clr/learn/task_log.h"
#include "data/io/file.h"

namespace reprise::clr {
namespace {

struct EvalOptions {
  std::string run, data, backbone, split, unknown;
  bool follow_links = false, map = false;
  InferenceOptions inference{.shortlist = 1};
};

struct Row {
  std::string task, split;
  int classes = 0;
  std::optional<double> learned;
  double now = 0;
  bool same_data = true;
  std::string other_dtype;  // the dtype it was learned in, if it is evaluated in another; else empty
  std::string predictions;  // lines of predictions.csv
  std::optional<double> forgetting() const { return learned ? std::optional(*learned - now) : std::nullopt; }
};

Row evaluate_task(const Backbone& backbone, const TaskFile& file, data::Task task, const EvalOptions& options,
                  const data::SetOptions& sets, MapEvaluation* map) {
  Row row;
  row.task = file.task;
  row.classes = static_cast<int>(file.classes.size());
  data::check_readable(task, sets, file.size, "", stopping(stop_requested));
  const std::size_t bad = report_task(task, sets.skip_bad, /*quiet=*/true);
  REPRISE_CHECK(bad == 0 || sets.skip_bad, "task {}: {} files cannot be read (listed above)", task.name, bad);
  row.split = !options.split.empty() ? options.split
              : !task.test.empty()   ? "test"
              : !task.val.empty()    ? "val"
                                     : "train";
  auto& samples = row.split == "test" ? task.test : row.split == "val" ? task.val : task.train;
  REPRISE_CHECK(!samples.empty(), "task {}: no images in its split '{}'", task.name, row.split);
  const auto labels = learned_labels(file, task.classes);
  for (data::Sample& sample : samples)
    sample.label = static_cast<int>(labels[static_cast<std::size_t>(sample.label)]);
  data::ImageStore store(samples, file.size, "");
  REPRISE_CHECK(store.load(stopping(stop_requested)).empty(),
                "task {}: its images changed while they were read", task.name);
  const auto digest = file.data_digests.find(row.split);
  row.same_data = digest != file.data_digests.end() && digest->second == store.digest();
  if (file.dtype != name_of(backbone.dtype)) row.other_dtype = file.dtype;
  const auto network = restore_network(backbone, file);
  Inputs inputs(*network, store, backbone.device, backbone.dtype, /*features_once=*/false);
  const auto predictions = predicted_labels(*network, inputs);
  if (map != nullptr) map->add(file, row.split, store, predictions);
  int right = 0;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const std::string& truth = file.classes[static_cast<std::size_t>(samples[i].label)];
    const std::string& guess = file.classes[static_cast<std::size_t>(predictions[i].label)];
    right += samples[i].label == predictions[i].label;
    row.predictions += fmt::format("{},{},{},{},{:.6f},{}\n", csv_field(file.task), row.split,
                                   csv_field(truth), csv_field(guess), predictions[i].probability,
                                   csv_field(std::filesystem::absolute(samples[i].path).string()));
  }
  row.now = static_cast<double>(right) / static_cast<double>(samples.size());
  row.learned = row.split == "test"  ? file.test_accuracy
                : row.split == "val" ? file.val_accuracy
                                     : std::nullopt;
  return row;
}

// Returns the mean over the rows that have the value; nothing if none has.
template <class Value>
std::optional<double> mean(const std::vector<Row>& rows, Value value) {
  double sum = 0;
  int n = 0;
  for (const auto& row : rows)
    if (const std::optional<double> v = value(row)) sum += *v, ++n;
  return n > 0 ? std::optional(sum / n) : std::nullopt;
}

void write_matrix(const RunFolder& folder, const std::vector<Row>& rows) {
  std::string text = "after_task,task,split,accuracy\n";
  const auto line = [&](const std::string& after, const Row& row, double accuracy) {
    text += fmt::format("{},{},{},{}\n", csv_field(after), csv_field(row.task), row.split, exact(accuracy));
  };
  const std::string last = folder.finished_tasks().back();
  for (const auto& row : rows) {
    if (row.learned && row.task != last) line(row.task, row, *row.learned);
    line(last, row, row.now);
  }
  data::write_file_atomically(folder.path() + "/matrix.csv", text);
}

// Writes predictions.csv, one line for each image.
void write_predictions(const RunFolder& folder, const std::vector<Row>& rows) {
  std::string text = "task,split,class,predicted,probability,path\n";
  for (const auto& row : rows) text += row.predictions;
  data::write_file_atomically(folder.path() + "/predictions.csv", text);
}

// Returns why a row's accuracies may differ although nothing
// was forgotten; empty if nothing suggests it.
std::string remark(const Row& row) {
  if (!row.same_data) return "other data than learned from";
  return row.other_dtype.empty()
             ? ""
             : fmt::format("learned in {0}: --dtype {0} also evaluates in it", row.other_dtype);
}

// Returns the mean accuracy of the tasks learned so far, after each task: no accuracy changes later.
std::vector<std::optional<double>> averages_so_far(const std::vector<Row>& rows) {
  std::vector<std::optional<double>> averages;
  for (std::size_t n = 1; n <= rows.size(); ++n)
    averages.push_back(mean(std::vector<Row>(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(n)),
                            [](const Row& r) { return r.learned; }));
  return averages;
}

void print_rows(const std::vector<Row>& rows, const std::vector<std::string>& absent, const Common& common,
                const MapEvaluation* map) {
  const auto learned = mean(rows, [](const Row&r) { return r.learned; }),
             now = mean(rows, [](const Row&r) { return std::optional(r.now); }),
             forgetting = mean(rows, [](const Row&r) { return r.forgetting(); });
  // ACC and BWT as Lopez-Paz and Ranzato define them ("Gradient Episodic Memory", 2017): BWT is over
  // all tasks but the last.
  const auto so_far = averages_so_far(rows);
  const auto lost = rows.empty() ? std::nullopt
                                 : mean(std::vector<Row>(rows.begin(), rows.end() - 1),
                                        [](const Row& r) { return r.forgetting(); });
  const auto bwt = lost ? std::optional(0 - *lost) : std::nullopt;
  if (common.json) {
    Json tasks = Json::array(), averages = Json::array();
    for (const auto& average : so_far) averages.push_back(number_or_null(average));
    for (const auto& r : rows)
      tasks.push_back({{"name", r.task},
                       {"split", r.split},
                       {"learned", number_or_null(r.learned)},
                       {"now", r.now},
                       {"forgetting", number_or_null(r.forgetting())},
                       {"same_data", r.same_data}});
    Json json{{"tasks", tasks},
              {"learned", number_or_null(learned)},
              {"now", number_or_null(now)},
              {"forgetting", number_or_null(forgetting)},
              {"acc", number_or_null(now)},
              {"bwt", number_or_null(bwt)},
              {"fwt", nullptr},
              {"average_so_far", averages},
              {"absent", absent}};
    if (map != nullptr) json["map"] = map->json();
    return print_json(json);
  }
  const auto shown = [](const std::optional<double>& value) { return value ? percent(*value) : "-"; };
  Table table({"task", "split", "classes", "when learned", "so far", "now", "forgetting", ""},
              {true, true, false, false, false, false, false, true});
  bool val = false;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row& r = rows[i];
    val = val || r.split == "val";
    table.row({r.task, r.split == "val" ? "val *" : r.split, std::to_string(r.classes), shown(r.learned),
               shown(so_far[i]), percent(r.now), shown(r.forgetting()), remark(r)});
  }
  table.rule();
  table.row({"average", "", "", shown(learned), "", shown(now), shown(forgetting), ""});
  print(table.text());
  if (val) print("* this split also chose the epoch, so its accuracy is optimistic\n");
  print(fmt::format("ACC {}, BWT {}; FWT is undefined: no task has a head before it is learned\n", shown(now),
                    shown(bwt)));
  if (map != nullptr) print("\n" + map->text());
}

void run_eval(const EvalOptions& options, Common& common) {
  common.begin();
  const SignalGuard signals;
  const RunFolder folder(options.run);
  const auto names = folder.finished_tasks();
  REPRISE_CHECK(!names.empty(), "{}: no task has been learned here yet", options.run);
  data::SetOptions sets = sets_of(partial_recipe(folder.record().recipe, options.run));
  sets.tasks = names;
  sets.absent_allowed = true;
  sets.follow_links = options.follow_links;
  std::map<std::string, data::Task> found;
  for (auto& task : data::find_tasks(options.data, sets)) found.emplace(task.name, std::move(task));

  const TaskFile first = read_task_file(folder.task_file(names.front()));
  const Backbone backbone =
      backbone_of(first, common.weights(options.backbone), common.resolved_device(), common.resolved_dtype());
  std::optional<MapEvaluation> map;
  if (options.map) map.emplace(backbone, folder, options.inference);
  std::vector<Row> rows;
  std::vector<std::string> absent;
  for (const auto& name : names) {
    const auto task = found.find(name);
    if (task == found.end()) {
      absent.push_back(name);
      continue;
    }
    rows.push_back(evaluate_task(backbone, read_task_file(folder.task_file(name)), task->second, options,
                                 sets, map ? &*map : nullptr));
  }
  if (!options.unknown.empty())
    for_images(images_in(options.unknown), first.size,
               [&](const data::ImageStore& images) { map->add_unknown(images); });
  backbone.verify();
  if (!rows.empty()) {
    write_matrix(folder, rows);
    write_predictions(folder, rows);
    if (map) map->write();
  }
  print_rows(rows, absent, common, map ? &*map : nullptr);
  if (absent.empty()) return;
  log_line(fmt::format("clr: learned, but absent from {}: {}", options.data, fmt::join(absent, ", ")));
  common.exit_status = 1;
  try {
    sets.tasks = absent;
    sets.absent_allowed = false;
    data::find_tasks(options.data, sets);
  } catch (const Error& e) {
    log_line(e.what());  // which tasks there are, and whose name only looks like a learned one's
  }
}

}  // namespace

void add_eval(Command app, Common& common) {
  const Command c = add_command(app, common, "eval", "evaluate all learned tasks of a run again");
  auto options = std::make_shared<EvalOptions>();
  c.add_option("--run", options->run, "run folder").required();
  c.add_option("--data", options->data, data_help).required();
  c.add_option("--backbone", options->backbone, "the run's backbone (default: the file that the run names)");
  add_weight_options(c, common);
  c.add_option("--split", options->split, "test, val or train (default: test where there is one, else val)")
      .one_of({"test", "val", "train"});
  add_follow_links(c, options->follow_links);
  const Option map =
      c.add_flag("--map", options->map, "also without being told the task: how well the run's map infers it");
  c.add_option("--unknown", options->unknown, "with --map: a folder of images of no learned task").needs(map);
  add_inference_options(c, options->inference.shortlist, options->inference.refuse, map);
  c.callback([options, &common] { run_eval(*options, common); });
}

}  // namespace reprise::clr
