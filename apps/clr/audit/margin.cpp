// clr audit margin: bounds how far rounding may move the margins
// of a task's predictions, and says which predictions no rounding changes.
#include <fstream>

#include "apps/clr/audit/columns.h"
#include "apps/clr/audit/cost.h"
#include "apps/clr/audit/folder.h"
#include "apps/clr/audit/margin_bounds.h"
#include "apps/clr/audit/parts.h"
#include "apps/clr/learn/run_folder.h"
#include "apps/clr/learn/run_network.h"
#include "data/io/file.h"

namespace reprise::clr {
namespace {

struct MarginCommand {
  std::string task, run, backbone, images, lambda = "6";
  int count = 0;
  bool only = false, variants = false, every_class = false;
  MarginOptions bounds;
};

// The variants of each dtype; every one is compared with double.
const Column variants_f32[] = {
    {"ref f32", "ref", "f32", {}},
    {"cpu avx512", "cpu", "f32", {{"REPRISE_CPU_ISA", "avx512"}}},
    {"cpu avx2", "cpu", "f32", {{"REPRISE_CPU_ISA", "avx2"}}},
    {"cpu portable", "cpu", "f32", {{"REPRISE_CPU_ISA", "portable"}}},
    {"cpu no Winograd", "cpu", "f32", {{"REPRISE_WINOGRAD", "0"}}},
    {"cpu portable, no Winograd", "cpu", "f32", {{"REPRISE_CPU_ISA", "portable"}, {"REPRISE_WINOGRAD", "0"}}},
    {"cpu not fused", "cpu", "f32", {{"REPRISE_FUSE", "0"}}},
    {"cuda, own kernels", "cuda", "f32", {{"REPRISE_CUDA_LIBRARIES", "0"}}},
    {"cuda", "cuda", "f32", {}},
};
const Column variants_bf16[] = {
    {"cpu pairs", "cpu", "bf16", {{"REPRISE_BF16_ORDER", "pairs"}}},
    {"cpu blocks", "cpu", "bf16", {{"REPRISE_BF16_ORDER", "blocks"}}},
    {"cpu portable", "cpu", "bf16", {{"REPRISE_CPU_ISA", "portable"}}},
    {"cpu not fused", "cpu", "bf16", {{"REPRISE_FUSE", "0"}}},
    {"cuda", "cuda", "bf16", {}},
};

// A task with its images and what was found.
struct Examined {
  TaskFile task;
  Tensor images;
  std::vector<std::string> paths;
  std::vector<ImageMargin> rows;
  std::map<std::pair<std::string, std::string>, double> layers;
};

std::vector<Examined> tasks_of(const MarginCommand& o) {
  std::vector<Examined> all;
  const auto add = [&](const std::string& file, const std::string& folder) {
    Examined e{read_task_file(file), {}, {}, {}, {}};
    e.images = read_folder(folder, o.count, e.task.size, e.paths);
    all.push_back(std::move(e));
  };
  if (o.run.empty()) add(o.task, o.images);
  if (o.run.empty()) return all;
  const RunFolder run(o.run);
  for (const std::string& name : run.finished_tasks()) {
    std::string folder = o.images + "/" + name;
    for (const char* split : {"/test", "/val"})
      if (std::filesystem::is_directory(folder + split)) {
        folder += split;
        break;
      }
    add(run.task_file(name), folder);
  }
  REPRISE_CHECK(!all.empty(), "{}: no task has been learned here yet", o.run);
  return all;
}

// Returns the label of the class that the image's folder is named after; -1 if there is none.
std::int64_t true_label(const TaskFile& task, const std::string& path) {
  const auto found = std::find(task.classes.begin(), task.classes.end(),
                               std::filesystem::path(path).parent_path().filename().string());
  return found == task.classes.end() ? -1 : found - task.classes.begin();
}

std::string certified(const ImageMargin& m) {
  return m.worst ? "yes" : m.probable ? "probably" : m.root ? "by squares" : "no";
}

// Counts images, all or those that are classified correctly.
struct Share {
  std::int64_t images = 0, worst = 0, probable = 0, root = 0;
  void add(const ImageMargin& m) { ++images, worst += m.worst, probable += m.probable, root += m.root; }
  std::string text() const {
    const auto part = [&](std::int64_t n) {
      return percent(static_cast<double>(n) / static_cast<double>(images));
    };
    return fmt::format("{} worst case, {} probabilistic, {} by squares", part(worst), part(probable),
                       part(root));
  }
  Json json() const { return {{"images", images}, {"worst", worst}, {"probable", probable}, {"root", root}}; }
};

// The layers by their share of the sum of all worst bounds, the largest first.
std::vector<std::pair<double, std::string>> largest_layers(const Examined& e) {
  double sum = 0;
  std::vector<std::pair<double, std::string>> list;
  for (const auto& [place, bound] : e.layers) sum += bound;
  for (const auto& [place, bound] : e.layers)
    list.emplace_back(bound / sum, (place.first.empty() ? "" : place.first + " ") + place.second);
  std::sort(list.rbegin(), list.rend());
  return list;
}

double median(std::vector<double> values) {
  if (values.empty()) return std::nan("");
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

Json to_json(const Examined& e, bool second) {
  Json images = Json::array(), layers = Json::array();
  Share all, correct;
  for (std::size_t i = 0; i < e.rows.size(); ++i) {
    const ImageMargin& m = e.rows[i];
    all.add(m);
    if (m.label == true_label(e.task, e.paths[i])) correct.add(m);
    images.push_back({{"path", e.paths[i]},
                      {"class", e.task.classes[static_cast<std::size_t>(m.label)]},
                      {"rival", e.task.classes[static_cast<std::size_t>(m.rival)]},
                      {"margin", m.margin},
                      {"worst", m.bound.worst},
                      {"probable", m.bound.probable},
                      {"root", m.bound.root},
                      {"certified", certified(m)},
                      {"classes_examined", m.passes}});
    if (second) images.back().update({{"fall", m.fall}, {"moved_bound", m.moved_bound}});
  }
  for (const auto& [share, name] : largest_layers(e)) layers.push_back({{"layer", name}, {"share", share}});
  return {{"task", e.task.task},
          {"certified", all.json()},
          {"certified_correct", correct.json()},
          {"images", images},
          {"layers", layers}};
}

void print_task(const Examined& e, const MarginCommand& o) {
  Table table({"image", "class", "rival", "margin", "worst", "probable", "squares", "certified"},
              {true, true, true, false, false, false, false, true});
  Share all, correct;
  std::vector<double> margins, bounds, falls, moved;
  for (std::size_t i = 0; i < e.rows.size(); ++i) {
    const ImageMargin& m = e.rows[i];
    all.add(m);
    if (m.label == true_label(e.task, e.paths[i])) correct.add(m);
    margins.push_back(m.margin), bounds.push_back(m.bound.worst);
    falls.push_back(m.fall), moved.push_back(m.moved_bound);
    table.row({e.paths[i], e.task.classes[static_cast<std::size_t>(m.label)],
               e.task.classes[static_cast<std::size_t>(m.rival)], fmt::format("{:.4g}", m.margin),
               fmt::format("{:.2g}", m.bound.worst), fmt::format("{:.2g}", m.bound.probable),
               fmt::format("{:.2g}", m.bound.root), certified(m)});
  }
  print(table.text());
  print(fmt::format("{}: {} images certified: {}\n", e.task.task, all.images, all.text()));
  if (correct.images > 0)
    print(fmt::format("  {} of them in the folder of their class: {}\n", correct.images, correct.text()));
  print(fmt::format("  median margin {:.3g}, median worst bound {:.2g}\n", median(margins), median(bounds)));
  if (o.bounds.second)
    print(
        fmt::format("  beyond first order: moving every output by its bound costs {:.3f} bounds (median; at "
                    "most {:.3f}), and the bound there is {:.3f} times as large (median; at most {:.3f})\n",
                    median(falls), *std::max_element(falls.begin(), falls.end()), median(moved),
                    *std::max_element(moved.begin(), moved.end())));
  const auto layers = largest_layers(e);
  for (std::size_t i = 0; i < std::min<std::size_t>(layers.size(), 5); ++i)
    print(fmt::format("  {:>7} of the worst bounds: {}\n", percent(layers[i].first), layers[i].second));
}

// Compares a variant's logits with the margins in double. Returns the row of the table.
Json compare_variant(const Column& column, const std::vector<Examined>& all) {
  const Json made = run_column(column);
  std::vector<double> worst, probable, root;
  std::int64_t changed = 0, certified_changed = 0;
  for (const Examined& e : all)
    for (std::size_t i = 0; i < e.rows.size(); ++i) {
      const ImageMargin& m = e.rows[i];
      const auto logits = made.at(e.task.task).at(i).get<std::vector<double>>();
      const double off = std::abs(logits[static_cast<std::size_t>(m.label)] -
                                  logits[static_cast<std::size_t>(m.rival)] - m.margin);
      worst.push_back(off / m.bound.worst), probable.push_back(off / m.bound.probable);
      root.push_back(off / m.bound.root);
      const bool other = std::max_element(logits.begin(), logits.end()) - logits.begin() != m.label;
      changed += other, certified_changed += other && m.root;
    }
  return {{"variant", column.title}, {"of_worst", worst},  {"of_probable", probable},
          {"of_root", root},         {"changed", changed}, {"certified_changed", certified_changed}};
}

Json compare_variants(const std::vector<Examined>& all, Common& common, bool bf16) {
  Json rows = Json::array();
  const std::span<const Column> columns = bf16 ? std::span<const Column>(variants_bf16) : variants_f32;
  Table table(
      {"variant", "largest change/worst", "/probable", "/squares", "other class", "though certified"});
  for (const Column* column : present_columns(columns, common)) {
    const Json row = rows.emplace_back(compare_variant(*column, all));
    const auto most = [&](const char* name) {
      const auto list = row[name].get<std::vector<double>>();
      return *std::max_element(list.begin(), list.end());
    };
    table.row({column->title, fmt::format("{:.1e}", most("of_worst")),
               fmt::format("{:.1e}", most("of_probable")), fmt::format("{:.1e}", most("of_root")),
               grouped(row["changed"].get<std::int64_t>()),
               grouped(row["certified_changed"].get<std::int64_t>())});
    if (most("of_worst") > 1 || row["certified_changed"] != 0) common.exit_status = 1;
  }
  if (!common.json) print(table.text());
  return rows;
}

// For a variant's process: the logits of all images, computed as predictions are.
void print_logits(const MarginCommand& o, const Common& common, const std::vector<Examined>& all) {
  Json json = Json::object();
  for (const Examined& e : all) {
    const auto network = restore_network(
        backbone_of(e.task, common.weights(o.backbone), common.resolved_device(), common.resolved_dtype()),
        e.task);
    const Tensor logits = outputs_of(*network, e.images).logits.to(cpu_device).to(DType::f64);
    Json& rows = json[e.task.task] = Json::array();
    for (std::int64_t i = 0; i < logits.dim(0); ++i) {
      const auto row = logits.values<double>().subspan(static_cast<std::size_t>(i * logits.dim(1)),
                                                       static_cast<std::size_t>(logits.dim(1)));
      rows.push_back(std::vector<double>(row.begin(), row.end()));
    }
  }
  print_json(json);
}

void run_margin(MarginCommand o, Common& common) {
  if (o.task.empty() == o.run.empty()) throw UsageError("audit margin: give --task or --run");
  const SignalGuard signals;
  if (o.only) {
    common.begin();
    return print_logits(o, common, tasks_of(o));
  }
  o.bounds.bf16 = common.dtype == "bf16";
  const bool on_cpu = common.device == "cpu";
  if ((!on_cpu && !common.device.empty() && common.device != "ref") || common.dtype == "f64")
    throw UsageError(
        "audit margin computes on ref in double or, with --device cpu, in f32; --dtype f32 or bf16 says "
        "whose "
        "rounding it bounds");
  common.device = on_cpu ? "cpu" : "ref";
  common.dtype = on_cpu ? "f32" : "f64";
  o.bounds.own_error = on_cpu ? 1 : 0;
  if (o.every_class) o.bounds.settled = 0;
  common.begin();
  std::vector<Examined> all = tasks_of(o);
  Json json{{"computed", on_cpu ? "cpu f32" : "ref f64"},
            {"bounds", o.bounds.bf16 ? "bf16" : "f32"},
            {"lambda", o.bounds.lambda},
            {"tasks", Json::array()}};
  for (Examined& e : all) {
    const auto network = restore_network(
        backbone_of(e.task, common.weights(o.backbone), common.resolved_device(), common.resolved_dtype()),
        e.task);
    const double flops = flops_of_image(*network, e.task.size) * static_cast<double>(e.images.dim(0));
    tell_cost(common,
              fmt::format("{}, {} images of {}x{}: forward, backward and the bounds take about as long as "
                          "4 forwards{}, and 2 more for each further class that is not settled",
                          e.task.task, e.images.dim(0), e.task.size, e.task.size,
                          on_cpu ? "" : ", " + duration_text(seconds_on_ref(4 * flops))));
    MarginBounds bounds(*network, o.bounds);
    const std::int64_t batch =
        std::clamp<std::int64_t>(std::int64_t{1 << 17} / (e.task.size * e.task.size), 2, 32);
    for (std::int64_t at = 0; at < e.images.dim(0); at += batch) {
      stop_if_requested();
      for (ImageMargin& m : bounds.examine(e.images.rows(at, std::min(at + batch, e.images.dim(0)))))
        e.rows.push_back(std::move(m));
    }
    e.layers = bounds.layers();
    json["tasks"].push_back(to_json(e, o.bounds.second));
    if (!common.json) print_task(e, o);
  }
  if (o.variants) json["variants"] = compare_variants(all, common, o.bounds.bf16);
  if (!o.run.empty()) data::write_file_atomically(o.run + "/margins.json", json.dump(1));
  if (common.json) print_json(json);
}

}  // namespace

void add_audit_margin(Command audit, Common& common) {
  const Command c = add_command(audit, common, "margin",
                                "bound what rounding can do to each prediction: could it change the class?");
  const auto o = std::make_shared<MarginCommand>();
  c.add_option("--task", o->task, "a learned task's file");
  c.add_option("--run", o->run, "a run folder: all of its tasks; writes margins.json there, for clr report");
  c.add_option("--images", o->images,
               "folder of images, with its subfolders; with --run the folder of the tasks' folders")
      .required();
  c.add_option("--backbone", o->backbone, "the backbone (default: the one that the run names)");
  add_weight_options(c, common);
  c.add_option("--count", o->count, "how many images of a task, evenly spread (default: all)")
      .range(1, 1 << 30);
  c.add_flag("--every-class", o->every_class,
             "examine every other class, also where the margin is 8 times the largest bound before");
  c.add_flag("--second-order", o->bounds.second,
             "also compute margins and bounds with every activation moved by its bound against the margin");
  c.add_flag("--variants", o->variants,
             "compare with the predictions of every backend, instruction set and form that this machine has");
  c.add_flag("--only", o->only, "only print the logits of --device and --dtype, as JSON");
  c.callback([o, &common] { run_margin(*o, common); });
}

}  // namespace reprise::clr
