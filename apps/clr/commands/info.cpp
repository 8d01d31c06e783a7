// clr info: prints what a weight file or task file holds.
#include "apps/clr/commands/commands.h"
#include "apps/clr/learn/network_weights.h"
#include "apps/clr/learn/task_map.h"
#include "engine/base/utf8.h"
#include "layers/summary.h"

namespace reprise::clr {
namespace {

struct InfoOptions {
  std::vector<std::string> files;
  std::string arch = "auto";
  std::string method;
  bool table = false;
  int size = 0, classes = 10;
};

// The facts about a file, collected before any of them is printed.
struct Facts {
  data::WeightFile file;
  std::optional<TaskFile> task;
  std::string prefix, identity;  // of the network's names; of the body, if its architecture is known
  std::optional<ArchitectureMatch> match;  // only for a file that is not a task
  int classes = 0, size = 0;
  std::int64_t body_parameters = 0, head_parameters = 0;
  std::vector<layers::LayerRow> layers;
};

void look_at_network(Facts& f, const std::vector<data::NamedTensor>& tensors) {
  auto network = layers::make_network(f.match->arch, 1);
  f.classes = classes_of(tensors, *network);
  if (f.classes > 1) network->replace_head(f.classes, 0);
  f.identity = identity_of(tensors, f.match->arch);
  const std::string head = network->head_name() + ".";
  for (const layers::Entry& e : network->named_tensors())
    if (!e.is_buffer && (f.classes > 0 || !e.name.starts_with(head)))
      (e.name.starts_with(head) ? f.head_parameters : f.body_parameters) += e.tensor->numel();
}

// Fills in the table of the network's layers. It depends on the architecture, not on the weights.
void look_at_layers(Facts& f, const InfoOptions& o) {
  const std::string arch = f.task ? f.task->arch : f.match ? f.match->arch : "";
  REPRISE_CHECK(!arch.empty(), "{}: --table needs a network that clr knows; known are {}", f.file.path,
                fmt::join(layers::known_architectures(), ", "));
  const int classes = f.task ? static_cast<int>(f.task->classes.size()) : std::max(f.classes, 1);
  auto network = layers::make_network(arch, classes);
  if (f.task)
    layers::apply_method(*network, f.task->method);
  else
    network->set_requires_grad(false);
  f.size = o.size > 0 ? o.size : f.task ? f.task->size : network->default_size();
  f.layers = layers::summarize(*network, f.size, f.size);
}

Facts look_at(const std::string& path, const InfoOptions& o, const Common& common) {
  Facts f;
  NetworkWeights weights = read_network_weights(common.weights(path), o.arch);
  f.file = std::move(weights.file);
  f.prefix = weights.prefix;
  f.match = std::move(weights.network);
  if (is_task_file(f.file)) {
    f.task = read_task_file(path);
    f.match.reset();
  } else if (f.match) {
    look_at_network(f, weights.tensors);
  }
  if (o.table) look_at_layers(f, o);
  return f;
}

std::string ratio(std::int64_t part, std::int64_t whole, std::string_view unit) {
  return fmt::format("{} of {} {} = {}", grouped(part), grouped(whole), unit,
                     percent(static_cast<double>(part) / static_cast<double>(whole), 2));
}

std::string line(std::string_view what, std::string_view value) {
  return fmt::format("  {:<13} {}\n", what, value);
}

std::string task_text(const TaskFile& t) {
  const layers::TaskCost cost = cost_of(t);
  std::string text = line("task", t.task) + line("method", t.method) + line("architecture", t.arch);
  text += line("backbone", t.backbone_identity);
  if (!t.packed.empty()) text += line("packed", t.packed + ", made of SHA-256 " + t.original_sha256);
  text += line("classes", fmt::format("{}: {}", t.classes.size(), fmt::join(t.classes, ", ")));
  text += line("images", fmt::format("{0}x{0}", t.size));
  text += line("learned",
               fmt::format("seed {}, best epoch {}, on {} in {}", t.seed, t.best_epoch, t.device, t.dtype));
  if (!t.instruction_set.empty()) text += line("level", t.instruction_set);
  for (const auto& [split, accuracy] : {std::pair("train", t.train_accuracy),
                                        std::pair("val", t.val_accuracy), std::pair("test", t.test_accuracy)})
    if (accuracy) text += line(fmt::format("{} accuracy", split), percent(*accuracy));
  text += line("recipe", t.recipe);
  text +=
      line("cost", fmt::format("{} parameters of its own = {} reprogramming + {}{} batch norm + {} head",
                               grouped(cost.parameters()), grouped(cost.reprogramming),
                               cost.convolutions > 0 ? grouped(cost.convolutions) + " convolutions + " : "",
                               grouped(cost.batch_norm), grouped(cost.head)));
  text += line("", ratio(cost.parameters(), cost.network_parameters,
                         "parameters of the whole network (backbone body and a head for this task)"));
  text += line("", ratio(cost.reprogramming + cost.batch_norm, cost.body_parameters,
                         "parameters of the backbone's body (the task's head left out)"));
  text += line("", ratio(cost.bytes(), cost.network_bytes(), "bytes of tensors of the whole network"));
  return text;
}

std::string network_text(const Facts& f) {
  if (is_task_map(f.file)) return line("holds", "a task map") + table_of_map(read_task_map(f.file.path));
  if (!f.match) return line("architecture", "not one that clr knows");
  const LoadReport& report = f.match->report;
  const bool complete = report.missing.empty() && report.shape_differs.empty();
  std::string text = line("architecture", f.match->arch);
  text += line("identity", f.identity + (complete ? "" : "  (of what is there)"));
  text += line("parameters", fmt::format("{} = {} body + {} head ({} classes)",
                                         grouped(f.body_parameters + f.head_parameters),
                                         grouped(f.body_parameters), grouped(f.head_parameters), f.classes));
  if (!complete || !report.extra.empty()) text += line("fit", report.text());
  return text;
}

std::string text_of(const Facts& f) {
  std::string text = f.file.path + "\n";
  text += line("form", f.file.format);
  if (!f.file.section.empty()) text += line("section", f.file.section);
  if (!f.prefix.empty()) text += line("prefix", f.prefix);
  if (!f.file.candidates.empty())
    text += line(f.file.tensors.empty() ? "state dicts" : "others", list_candidates(f.file.candidates));
  text += line("SHA-256", f.file.file_sha256);
  text += f.task ? task_text(*f.task) : network_text(f);
  if (!f.task)
    for (const auto& [key, value] : f.file.metadata)
      text += line("metadata", escaped(key + " = " + value, "\\"));
  for (const std::string& s : f.file.converted) text += line("changed", s);
  for (const std::string& s : f.file.skipped) text += line("skipped", s);
  Table table({"tensor", "shape", "dtype", "bytes"}, {true, true, true, false});
  std::int64_t numbers = 0, bytes = 0;
  for (const auto& [name, tensor] : f.file.tensors) {
    table.row({name, to_string(tensor.shape()), std::string(name_of(tensor.dtype())),
               grouped(static_cast<std::int64_t>(tensor.bytes()))});
    numbers += tensor.numel();
    bytes += static_cast<std::int64_t>(tensor.bytes());
  }
  table.rule();
  table.row(
      {fmt::format("{} tensors", f.file.tensors.size()), grouped(numbers) + " numbers", "", grouped(bytes)});
  text += table.text();
  if (!f.layers.empty())
    text +=
        fmt::format("\nlayers, for one image of {0}x{0}; a multiplication and an addition are two FLOPs\n{1}",
                    f.size, layers::render(f.layers));
  return text;
}

Json task_json(const TaskFile& t) {
  const layers::TaskCost cost = cost_of(t);
  Json json{{"task", t.task},       {"method", t.method},
            {"arch", t.arch},       {"backbone_identity", t.backbone_identity},
            {"classes", t.classes}, {"size", t.size},
            {"seed", t.seed},       {"best_epoch", t.best_epoch}};
  json["recipe"] = Json::parse(t.recipe);
  json["data_digests"] = t.data_digests;
  json["packed"] = t.packed;
  json["train_accuracy"] = number_or_null(t.train_accuracy);
  json["val_accuracy"] = number_or_null(t.val_accuracy);
  json["test_accuracy"] = number_or_null(t.test_accuracy);
  json["cost"] = {{"parameters", cost.parameters()},
                  {"reprogramming_parameters", cost.reprogramming},
                  {"convolution_parameters", cost.convolutions},
                  {"batch_norm_parameters", cost.batch_norm},
                  {"head_parameters", cost.head},
                  {"statistics", cost.statistics},
                  {"bytes", cost.bytes()},
                  {"network_parameters", cost.network_parameters},
                  {"network_bytes", cost.network_bytes()},
                  {"backbone_body_parameters", cost.body_parameters}};
  return json;
}

Json json_of(const Facts& f) {
  Json json{{"path", f.file.path},           {"format", f.file.format},
            {"section", f.file.section},     {"prefix", f.prefix},
            {"sha256", f.file.file_sha256},  {"metadata", f.file.metadata},
            {"converted", f.file.converted}, {"skipped", f.file.skipped}};
  if (f.task) json["task"] = task_json(*f.task);
  if (f.match)
    json["network"] = {{"arch", f.match->arch},
                       {"identity", f.identity},
                       {"classes", f.classes},
                       {"body_parameters", f.body_parameters},
                       {"head_parameters", f.head_parameters},
                       {"missing", f.match->report.missing},
                       {"extra", f.match->report.extra},
                       {"shape_differs", f.match->report.shape_differs}};
  json["candidates"] = Json::array();
  for (const data::StateDict& c : f.file.candidates)
    json["candidates"].push_back({{"section", c.section}, {"tensors", c.tensors.size()}});
  json["tensors"] = Json::array();
  for (const auto& [name, tensor] : f.file.tensors) {
    const auto dims = tensor.shape().dims();
    json["tensors"].push_back({{"name", name},
                               {"shape", std::vector<std::int64_t>(dims.begin(), dims.end())},
                               {"dtype", std::string(name_of(tensor.dtype()))}});
  }
  for (const layers::LayerRow& row : f.layers) {
    const auto dims = row.output.dims();
    json["layers"].push_back({{"name", row.name},
                              {"type", row.type},
                              {"output", std::vector<std::int64_t>(dims.begin(), dims.end())},
                              {"parameters", row.parameters},
                              {"trained", row.trained},
                              {"flops", row.flops}});
  }
  return json;
}

// Prints what a task costs with --method, on --arch or on the network of a file.
void answer_cost(const Common& common, const InfoOptions& o) {
  if (o.files.empty() && o.arch == "auto") throw UsageError("--method needs --arch or a FILE");
  if (o.files.size() > 1) throw UsageError("--method is about one network: give one FILE");
  const std::string method = o.method == "all" ? o.method : checked_method(o.method);
  std::string arch = o.arch;
  if (o.arch == "auto") {
    const Facts f = look_at(o.files[0], o, common);
    REPRISE_CHECK(f.task || f.match, "{}: not a network that clr knows; known are {}", o.files[0],
                  fmt::join(layers::known_architectures(), ", "));
    arch = f.task ? f.task->arch : f.match->arch;
  }
  print_costs(common, arch, method, o.classes, o.size);
}

void run_info(Common& common, const InfoOptions& o) {
  if (o.arch != "auto") checked_architecture(o.arch);
  if (!o.method.empty()) return answer_cost(common, o);
  if (o.files.empty()) throw UsageError("FILE is required (or --method with --arch)");
  Json files = Json::array();
  bool first = true;
  for (const std::string& path : o.files) {
    try {
      const Facts facts = look_at(path, o, common);
      if (common.json)
        files.push_back(json_of(facts));
      else
        print((first ? "" : "\n") + text_of(facts));
      first = false;
    } catch (const Error& e) {
      log_line(std::string("clr: ") + e.what());
      common.exit_status = 1;
    }
  }
  if (common.json) print_json({{"files", files}});
}

}  // namespace

void add_info(Command app, Common& common) {
  const auto o = std::make_shared<InfoOptions>();
  const Command c = add_command(app, common, "info", "print what a weight file or task file holds");
  c.add_option("FILE", o->files, "weight files, of a known architecture or not");
  add_weight_options(c, common);
  c.add_option("--arch", o->arch, "compare with this architecture (default: the one that fits best)");
  c.add_flag("--table", o->table, "also the layers: output shapes, parameters, FLOPs");
  const Option method =
      c.add_option("--method", o->method,
                   "print instead what a task costs with this method (all: with each method) on --arch or "
                   "on the FILE's network");
  c.add_option("--classes", o->classes, "with --method: number of the task's classes")
      .needs(method)
      .range(1, 1'000'000)
      .shows_default();
  c.add_option(
       "--size", o->size,
       "with --table or --method: height and width of the images (default: what the network is made for)")
      .range(1, 8192);
  c.callback([o, &common] { run_info(common, *o); });
}

}  // namespace reprise::clr
