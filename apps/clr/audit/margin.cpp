// clr audit margin: bounds how far rounding may move the margins
// of a task's predictions, and says which predictions no rounding changes.
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
  std::string task, run, backbone, images;
  int count = 0;
  bool only = false, variants = false;
  MarginOptions bounds;
};

// Every variant of a dtype is compared with double.
const Column variants[] = {
    {"ref f32", "ref", "f32", {}},
    {"cpu avx512", "cpu", "f32", {{"REPRISE_CPU_ISA", "avx512"}}},
    {"cpu avx2", "cpu", "f32", {{"REPRISE_CPU_ISA", "avx2"}}},
    {"cpu portable", "cpu", "f32", {{"REPRISE_CPU_ISA", "portable"}}},
    {"cpu no Winograd", "cpu", "f32", {{"REPRISE_WINOGRAD", "0"}}},
    {"cpu portable, no Winograd", "cpu", "f32", {{"REPRISE_CPU_ISA", "portable"}, {"REPRISE_WINOGRAD", "0"}}},
    {"cpu not fused", "cpu", "f32", {{"REPRISE_FUSE", "0"}}},
    {"cuda, own kernels", "cuda", "f32", {{"REPRISE_CUDA_LIBRARIES", "0"}}},
    {"cpu pairs", "cpu", "bf16", {{"REPRISE_BF16_ORDER", "pairs"}}},
    {"cpu blocks", "cpu", "bf16", {{"REPRISE_BF16_ORDER", "blocks"}}},
    {"cpu portable", "cpu", "bf16", {{"REPRISE_CPU_ISA", "portable"}}},
    {"cpu not fused", "cpu", "bf16", {{"REPRISE_FUSE", "0"}}},
    {"cuda, own kernels", "cuda", "bf16", {{"REPRISE_CUDA_LIBRARIES", "0"}}},
};

struct Examined {
  TaskFile task;
  Tensor images;
  std::vector<std::string> paths;
  std::vector<ImageMargin> rows;
};

// With a run, a task's images are in its test or val folder, if there is one, else in its folder.
std::vector<Examined> tasks_of(const MarginCommand& o) {
  std::vector<Examined> all;
  const auto add = [&](const std::string& file, const std::string& folder) {
    all.push_back({read_task_file(file), {}, {}, {}});
    all.back().images = read_folder(folder, o.count, all.back().task.size, all.back().paths);
  };
  if (!o.task.empty()) add(o.task, o.images);
  if (!o.task.empty()) return all;
  const RunFolder run(o.run);
  for (const std::string& name : run.finished_tasks()) {
    std::string folder = o.images + "/" + name;
    for (const std::string split : {"/val", "/test"})
      if (std::filesystem::is_directory(o.images + "/" + name + split))
        folder = o.images + "/" + name + split;
    add(run.task_file(name), folder);
  }
  return all;
}

std::unique_ptr<layers::Network> network_of(const Examined& e, const MarginCommand& o, const Common& common) {
  const WeightSource source = common.weights(o.backbone);
  return restore_network(backbone_of(e.task, source, common.resolved_device(), common.resolved_dtype()),
                         e.task);
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

// Describes a task's margins. "correct" counts the images in the folder of their predicted class.
Json to_json(const Examined& e, const std::map<std::string, double>& layers, bool second) {
  Json images = Json::array(), shares = Json::array();
  Json all{{"images", 0}, {"worst", 0}, {"probable", 0}}, correct = all;
  std::vector<double> margins, bounds, falls, moved;
  for (std::size_t i = 0; i < e.rows.size(); ++i) {
    const ImageMargin& m = e.rows[i];
    const std::string &name = e.task.classes[static_cast<std::size_t>(m.label)],
                      folder = std::filesystem::path(e.paths[i]).parent_path().filename().string();
    for (Json* count : {&all, folder == name ? &correct : nullptr}) {
      if (count == nullptr) continue;
      for (const auto& [key, met] : {std::pair("images", true), {"worst", m.worst}, {"probable", m.probable}})
        (*count)[key] = (*count)[key].get<std::int64_t>() + met;
    }
    images.push_back({{"path", e.paths[i]},
                      {"class", name},
                      {"rival", e.task.classes[static_cast<std::size_t>(m.rival)]},
                      {"margin", m.margin},
                      {"worst", m.bound.worst},
                      {"probable", m.bound.probable},
                      {"certified", m.verdict()},
                      {"classes_examined", m.examined}});
    margins.push_back(m.margin), bounds.push_back(m.bound.worst);
    falls.push_back(m.fall), moved.push_back(m.moved_bound);
  }
  std::vector<std::pair<double, std::string>> sorted;
  double sum = 0;
  for (const auto& [name, bound] : layers) sorted.emplace_back(bound, name), sum += bound;
  std::sort(sorted.rbegin(), sorted.rend());
  for (const auto& [bound, name] : sorted) shares.push_back({{"layer", name}, {"share", bound / sum}});
  Json json{
      {"task", e.task.task},          {"sha256", e.task.file_sha256},     {"certified", all},
      {"certified_correct", correct}, {"median_margin", median(margins)}, {"median_worst", median(bounds)}};
  if (second)
    json.update({{"median_fall", median(falls)},
                 {"largest_fall", *std::max_element(falls.begin(), falls.end())},
                 {"median_moved_bound", median(moved)},
                 {"largest_moved_bound", *std::max_element(moved.begin(), moved.end())}});
  json["layers"] = shares, json["images"] = images;
  return json;
}

void print_task(const Json& task) {
  Table table({"image", "class", "rival", "margin", "worst", "probable", "certified"},
              {true, true, true, false, false, false, true});
  const auto text = [](const Json& value) { return value.get<std::string>(); };
  const auto number = [](const Json& value) { return fmt::format("{:.3g}", value.get<double>()); };
  for (const Json& i : task["images"])
    table.row({text(i["path"]), text(i["class"]), text(i["rival"]), number(i["margin"]), number(i["worst"]),
               number(i["probable"]), text(i["certified"])});
  print(table.text());
  for (const auto& [key, what] :
       {std::pair("certified", "images"), {"certified_correct", "in their class's folder"}}) {
    const Json& c = task[key];
    const double n = c["images"];
    if (n > 0)
      print(fmt::format("{}: of {} {} certified {} worst case, {} probably\n", text(task["task"]), n, what,
                        percent(c["worst"].get<double>() / n), percent(c["probable"].get<double>() / n)));
  }
  print(fmt::format("median margin {}, median worst bound {}\n", number(task["median_margin"]),
                    number(task["median_worst"])));
  if (task.contains("median_fall"))
    print(fmt::format(
        "beyond first order: with every output moved by its bound the margin falls by {} bounds (at "
        "most {}), and the bound is {} times as large (at most {})\n",
        number(task["median_fall"]), number(task["largest_fall"]), number(task["median_moved_bound"]),
        number(task["largest_moved_bound"])));
  for (std::size_t i = 0; i < std::min<std::size_t>(task["layers"].size(), 5); ++i)
    print(fmt::format("{:>8} of the worst bounds: {}\n", percent(task["layers"][i]["share"].get<double>()),
                      text(task["layers"][i]["layer"])));
}

// Compares the logits that a variant's process prints with the margins in double.
Json compare_variant(const Column& column, const std::vector<Examined>& all) {
  const Json made = run_column(column);
  std::vector<double> worst, probable;
  std::int64_t changed = 0, wrong = 0;
  for (const Examined& e : all)
    for (std::size_t i = 0; i < e.rows.size(); ++i) {
      const ImageMargin& m = e.rows[i];
      const auto z = made.at(e.task.task).at(i).get<std::vector<double>>();
      const double off =
          std::abs(z[static_cast<std::size_t>(m.label)] - z[static_cast<std::size_t>(m.rival)] - m.margin);
      worst.push_back(off / m.bound.worst), probable.push_back(off / m.bound.probable);
      const bool other = std::max_element(z.begin(), z.end()) - z.begin() != m.label;
      changed += other, wrong += other && m.probable;
    }
  return {{"variant", column.title},
          {"largest_of_worst", *std::max_element(worst.begin(), worst.end())},
          {"largest_of_probable", *std::max_element(probable.begin(), probable.end())},
          {"other_class", changed},
          {"though_certified", wrong},
          {"of_worst", worst},
          {"of_probable", probable}};
}

Json compare_variants(const std::vector<Examined>& all, Common& common, bool bf16) {
  std::vector<Column> columns(std::begin(variants), std::end(variants));
  std::erase_if(columns, [&](const Column& c) { return (c.dtype == "bf16") != bf16; });
  Json rows = Json::array();
  Table table({"variant", "largest change/worst", "/probable", "other class", "though certified"});
  for (const Column* column : present_columns(columns, common)) {
    const Json& row = rows.emplace_back(compare_variant(*column, all));
    table.row({column->title, fmt::format("{:.1e}", row["largest_of_worst"].get<double>()),
               fmt::format("{:.1e}", row["largest_of_probable"].get<double>()), row["other_class"].dump(),
               row["though_certified"].dump()});
    if (row["largest_of_worst"] > 1 || row["though_certified"] != 0) common.exit_status = 1;
  }
  if (!common.json) print(table.text());
  return rows;
}

// In a variant's process: prints all logits, computed as predictions are.
void print_logits(const MarginCommand& o, const Common& common) {
  Json json = Json::object();
  for (const Examined& e : tasks_of(o)) {
    const Tensor z = outputs_of(*network_of(e, o, common), e.images).logits.to(cpu_device).to(DType::f64);
    for (std::int64_t i = 0; i < z.dim(0); ++i) {
      const auto row = z.rows(i, i + 1).values<double>();
      json[e.task.task].push_back(std::vector<double>(row.begin(), row.end()));
    }
  }
  print_json(json);
}

void run_margin(MarginCommand o, Common& common) {
  if (o.task.empty() == o.run.empty()) throw UsageError("audit margin: give --task or --run");
  const SignalGuard signals;
  if (o.only) common.begin();
  if (o.only) return print_logits(o, common);
  o.bounds.bf16 = common.dtype == "bf16";
  o.bounds.exact = common.device != "cpu";
  if ((o.bounds.exact && !common.device.empty() && common.device != "ref") || common.dtype == "f64")
    throw UsageError(
        "audit margin computes on ref in double or, with --device cpu, in f32; --dtype f32 or bf16 says "
        "whose "
        "rounding it bounds");
  common.device = o.bounds.exact ? "ref" : "cpu";
  common.dtype = o.bounds.exact ? "f64" : "f32";
  common.begin();
  std::vector<Examined> all = tasks_of(o);
  REPRISE_CHECK(!all.empty(), "{}: no task has been learned here yet", o.run);
  Json json{{"computed", common.device + " " + common.dtype},
            {"bounds", o.bounds.bf16 ? "bf16" : "f32"},
            {"lambda", o.bounds.lambda},
            {"tasks", Json::array()}};
  for (Examined& e : all) {
    const auto network = network_of(e, o, common);
    const double flops = flops_of_image(*network, e.task.size) * static_cast<double>(e.images.dim(0));
    const int forwards = o.bounds.exact ? 8 : 4;  // MARGIN.md
    tell_cost(
        common,
        fmt::format("{}: {} images of {}x{} take about {} forwards{}, and 2 for each further class that the "
                    "runner-up does not settle",
                    e.task.task, e.images.dim(0), e.task.size, e.task.size, forwards,
                    o.bounds.exact ? ", " + duration_text(seconds_on_ref(forwards * flops)) : ""));
    std::map<std::string, double> layers;
    e.rows = bound_margins(*network, e.images, o.bounds, layers);
    json["tasks"].push_back(to_json(e, layers, o.bounds.second));
    if (!common.json) print_task(json["tasks"].back());
  }
  if (o.variants) json["variants"] = compare_variants(all, common, o.bounds.bf16);
  if (!o.run.empty()) data::write_file_atomically(o.run + "/margins.json", escaped_json(json).dump(1));
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
               "folder of images, with its subfolders; with --run, the folder of the tasks' folders")
      .required();
  c.add_option("--backbone", o->backbone, "the backbone (default: the one that the run names)");
  add_weight_options(c, common);
  c.add_option("--count", o->count, "how many images of a task, evenly spread (default: all)")
      .range(1, 1 << 30);
  c.add_option("--lambda", o->bounds.lambda,
               "the probable bound fails with a probability of 2 exp(-lambda^2 / 2)")
      .check([](const std::string& text) {
        const double lambda = std::strtod(text.c_str(), nullptr);
        return lambda > 0 && lambda < 1e6 ? "" : fmt::format("expected a number above 0, got '{}'", text);
      })
      .shows_default();
  c.add_flag("--every-class", o->bounds.every,
             "examine every other class, also where the margin is 8 times the largest bound before");
  c.add_flag("--second-order", o->bounds.second,
             "also examine each image with every activation moved by its bound against the margin");
  c.add_flag("--variants", o->variants,
             "compare with every backend, instruction set and form of convolution that this machine has");
  c.add_flag("--only", o->only, "only print the logits on --device in --dtype, as JSON");
  c.callback([o, &common] { run_margin(*o, common); });
}

}  // namespace reprise::clr
