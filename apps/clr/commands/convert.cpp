// clr convert: writes a weight file in another form, with the same tensors and names. Packs task
// files, and writes a task's whole network.
#include <algorithm>
#include <numeric>

#include "apps/clr/commands/commands.h"
#include "apps/clr/learn/network_weights.h"
#include "apps/clr/learn/pack.h"
#include "apps/clr/learn/recipe.h"
#include "apps/clr/learn/run_network.h"
#include "apps/clr/learn/task_data.h"
#include "apps/clr/original/original_state_dict.h"

namespace reprise::clr {
namespace {

struct ConvertOptions {
  std::string in, out, backbone, pack, data;
  bool full = false;
  std::vector<std::string> classes;
};

bool is_safetensors(const std::string& path) {
  const std::string extension = std::filesystem::path(path).extension().string();
  if (extension == ".safetensors") return true;
  if (extension == ".pth" || extension == ".th" || extension == ".pt") return false;
  throw UsageError(fmt::format("convert: OUT must end with .safetensors, .pth, .th or .pt, got '{}'", path));
}

// Reduces a whole network, as the original writes it, to what the task learned on the backbone.
void convert_to_task(const Common& common, const ConvertOptions& o) {
  if (!is_safetensors(o.out))
    throw UsageError(fmt::format(
        "convert: with --backbone, OUT is a task file and ends with .safetensors, got '{}'", o.out));
  const Backbone backbone =
      load_backbone(o.backbone, "auto", common.resolved_device(), common.resolved_dtype());
  const NetworkWeights weights = read_network_weights(common.weights(o.in), "auto");
  weights.check_chosen();
  const data::WeightFile& file = weights.file;
  const ErrorScope scope("file", o.in);
  TaskFile task = task_of_state_dict(backbone, from_original_state_dict(file.tensors), o.classes);
  task.task = std::filesystem::path(o.in).stem().string();
  write_task_file(o.out, task);
  if (common.json)
    print_json({{"in", o.in},
                {"out", o.out},
                {"method", task.method},
                {"classes", task.classes.size()},
                {"tensors", task.tensors.size()}});
  else
    print(fmt::format("{} -> {}: method {}, {} classes, {} tensors of {}\n", o.in, o.out, task.method,
                      task.classes.size(), task.tensors.size(), file.tensors.size()));
}

// The task's validation images, and what its network answers to them.
struct Validation {
  Backbone backbone;
  TaskData data;
  Tensor logits;  // f64 on cpu
};

Tensor logits_of(const Backbone& backbone, const TaskFile& task, const data::ImageStore& images) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(images.count()));
  std::iota(all.begin(), all.end(), 0);
  return outputs_of(*restore_network(backbone, task), images.batch(all)).logits.to(cpu_device).to(DType::f64);
}

Validation validate(const Common& common, const ConvertOptions& o, const TaskFile& task) {
  const Backbone backbone =
      backbone_of(task, common.weights(o.backbone), common.resolved_device(), common.resolved_dtype());
  DataOptions options{o.data, sets_of(partial_recipe(task.recipe, o.in)), task.size, true, {}};
  options.sets.tasks = {task.task};
  TaskData data = std::move(find_task_data(options).at(0));
  decode(data, options);
  const data::ImageStore* val = data.split("val");
  REPRISE_CHECK(val != nullptr && data.task.classes == task.classes,
                "{}: task {} there has {}, expected the classes that {} learned and validation images",
                o.data, task.task, val == nullptr ? "no validation images" : "other classes", o.in);
  const Tensor logits = logits_of(backbone, task, *val);
  return {backbone, std::move(data), logits};
}

// Compares a packed task with the original on the validation images.
Json compare(const Validation& v, const TaskFile& task, const TaskFile& packed) {
  const data::ImageStore& val = *v.data.split("val");
  const std::vector<std::int64_t> labels = val.labels();
  const Tensor before = v.logits, after = logits_of(v.backbone, packed, val);
  const auto a = before.values<double>(), b = after.values<double>();
  double change = 0, right = 0, right_packed = 0;
  for (std::size_t i = 0; i < a.size(); ++i) change = std::max(change, std::abs(a[i] - b[i]));
  int flipped = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto guess = [&](std::span<const double> l) {
      const auto row = l.subspan(i * task.classes.size(), task.classes.size());
      return std::ranges::max_element(row) - row.begin();
    };
    right += guess(a) == labels[i], right_packed += guess(b) == labels[i], flipped += guess(a) != guess(b);
  }
  const auto n = static_cast<double>(labels.size());
  const auto digest = task.data_digests.find("val");
  return {{"images", labels.size()},
          {"accuracy", right / n},
          {"packed_accuracy", right_packed / n},
          {"flipped", flipped},
          {"largest_change", change},
          {"same_data", digest != task.data_digests.end() && digest->second == v.data.digests.at("val")}};
}

void run_pack(const Common& common, const ConvertOptions& o) {
  if (!is_safetensors(o.out)) throw UsageError("convert: with --pack, OUT ends with .safetensors");
  const TaskFile task = read_task_file(o.in);
  check_not_packed(task, "clr convert --pack");
  TaskFile made = task;
  made.packed = o.pack, made.original_sha256 = task.file_sha256;
  made.recipe.clear(), made.images.clear(), made.files_digest.clear();
  std::optional<Validation> validation;  // before anything is written
  if (!o.data.empty()) validation = validate(common, o, task);
  write_task_file(o.out, made);
  Json json{{"in", o.in}, {"out", o.out}, {"packed", o.pack}};
  Table table({"", "bytes", "tensors", "header"});
  for (const auto& [end, path, t] : {std::tuple("in", o.in, &task), {"out", o.out, &made}}) {
    const auto bytes = static_cast<std::int64_t>(std::filesystem::file_size(path)), own = cost_of(*t).bytes();
    json[fmt::format("bytes_{}", end)] = bytes, json[fmt::format("tensor_bytes_{}", end)] = own;
    table.row({path, grouped(bytes), grouped(own), grouped(bytes - own)});
  }
  if (validation) json["val"] = compare(*validation, task, read_task_file(o.out));
  if (common.json) return print_json(json);
  print(table.text());
  if (o.data.empty()) return;
  const Json& val = json["val"];
  print(
      fmt::format("{} validation images{}: accuracy {} -> {}, {} predictions flipped, largest change of a "
                  "logit {:.2g}\n",
                  val["images"].get<int>(), val["same_data"] ? "" : " (others than the task learned from)",
                  percent(val["accuracy"]), percent(val["packed_accuracy"]), val["flipped"].get<int>(),
                  val["largest_change"].get<double>()));
}

// Returns the network's tensors as PyTorch loads them: under torchvision's names if the method adds
// no layer or its layer folds into the convolution, else under the original's.
std::vector<data::NamedTensor> whole_network(layers::Network& network, bool& plain) {
  auto tensors = layers::state_dict(network);
  plain = std::ranges::none_of(tensors,
                               [](const auto& t) { return t.name.find(".reprogram.") != std::string::npos; });
  if (!plain) return original_state_dict(network, {});
  // A 1x1 convolution of the same stride is the centre of a larger one.
  std::map<std::string, Tensor> sides;
  constexpr std::string_view ending = ".side.weight";
  for (const auto& [name, tensor] : tensors)
    if (name.ends_with(ending)) sides[name.substr(0, name.size() - ending.size()) + ".weight"] = tensor;
  std::erase_if(tensors, [&](const auto& t) { return t.name.ends_with(ending); });
  for (auto& [name, tensor] : tensors) {
    const auto side = sides.find(name);
    if (side == sides.end()) continue;
    const std::int64_t taps = tensor.dim(2) * tensor.dim(3);
    for (std::int64_t i = 0; i < side->second.numel(); ++i)
      tensor.mutable_data<float>()[i * taps + taps / 2] += side->second.data<float>()[i];
  }
  return tensors;
}

void run_full(const Common& common, const ConvertOptions& o) {
  const bool safetensors = is_safetensors(o.out);
  const TaskFile task = read_task_file(o.in);
  const auto network =
      restore_network(backbone_of(task, common.weights(o.backbone), cpu_device, DType::f32), task);
  bool plain = true;
  const auto tensors = whole_network(*network, plain);
  auto metadata = backbone_metadata(task.arch, task.size, task.classes);
  if (!plain) metadata.erase("reprise.format");
  if (safetensors)
    data::write_safetensors(o.out, tensors, metadata);
  else
    data::write_pth(o.out, tensors);
  const char* names = plain ? "the architecture's" : "the original's";
  if (common.json)
    return print_json({{"in", o.in}, {"out", o.out}, {"names", names}, {"tensors", tensors.size()}});
  print(fmt::format("{} -> {}: {} with {}, {} tensors under {} names\n", o.in, o.out, task.arch, task.method,
                    tensors.size(), names));
}

void run_convert(const Common& common, const ConvertOptions& o) {
  if (o.pack.empty() && !o.data.empty()) throw UsageError("convert: --data needs --pack");
  if (!o.pack.empty() || o.full) {
    if (!o.classes.empty()) throw UsageError("convert: a task file has its own class names: no --classes");
    std::error_code ignored;
    REPRISE_CHECK(!std::filesystem::equivalent(o.in, o.out, ignored), "convert: {} and {} are the same file",
                  o.in, o.out);
    common.begin();
    return o.full ? run_full(common, o) : run_pack(common, o);
  }
  if (!o.backbone.empty()) return convert_to_task(common, o);
  if (!o.classes.empty()) throw UsageError("convert: --classes needs --backbone");
  const bool safetensors = is_safetensors(o.out);
  const NetworkWeights weights = read_network_weights(common.weights(o.in), "auto");
  weights.check_chosen();
  const data::WeightFile& file = weights.file;
  // Names stay as they are, but for a prefix that was asked for.
  const auto& tensors = common.prefix ? weights.tensors : file.tensors;
  std::error_code ignored;
  REPRISE_CHECK(!std::filesystem::equivalent(o.in, o.out, ignored), "convert: {} and {} are the same file",
                o.in, o.out);
  std::vector<std::string> left_out = file.skipped;
  for (const auto& t : file.tensors)
    if (common.prefix && !t.name.starts_with(weights.prefix))
      left_out.push_back(t.name + ": not under --prefix " + weights.prefix);
  if (safetensors) {
    data::write_safetensors(o.out, tensors, file.metadata);
  } else {
    data::write_pth(o.out, tensors);
    for (const auto& [key, value] : file.metadata)
      left_out.push_back(fmt::format("metadata '{}': a .pth state dict has no place for it", key));
  }
  const std::string form_out = safetensors ? "safetensors" : "pth-zip";
  if (common.json) {
    print_json({{"in", o.in},
                {"in_format", file.format},
                {"out", o.out},
                {"out_format", form_out},
                {"section", file.section},
                {"prefix", weights.prefix},
                {"tensors", tensors.size()},
                {"skipped", left_out},
                {"converted", file.converted}});
    return;
  }
  std::string text = fmt::format("{} ({}{}) -> {} ({}): {} tensors\n", o.in, file.format,
                                 file.section.empty() ? "" : fmt::format(", section '{}'", file.section),
                                 o.out, form_out, tensors.size());
  for (const std::string& line : file.converted) text += "  changed  " + line + "\n";
  for (const std::string& line : left_out) text += "  skipped  " + line + "\n";
  print(text);
}

}  // namespace

void add_convert(Command app, Common& common) {
  const auto o = std::make_shared<ConvertOptions>();
  const Command c =
      add_command(app, common, "convert", "convert weight files between .pth, .th, .pt and .safetensors");
  c.add_option("IN", o->in, "the file to read; its form is recognised by its content").required();
  c.add_option("OUT", o->out, "the file to write; its extension decides its form").required();
  add_weight_options(c, common);
  c.add_option("--backbone", o->backbone,
               "IN is a whole network as `clr reproduce` and the original write it: OUT gets what "
               "the task learned on this backbone. With --full and --data: the task's backbone");
  const Option pack =
      c.add_option("--pack", o->pack,
                   "IN is a task file: OUT gets what prediction needs, with batch norm folded "
                   "(fold), also rounded to f16 or to int8")
          .one_of(pack_forms);
  c.add_option("--data", o->data, "with --pack: compare both files on the task's validation images here");
  c.add_flag("--full", o->full, "IN is a task file: OUT gets its whole network, for PyTorch").excludes(pack);
  c.add_names("--classes", o->classes,
              "with --backbone: names of the task's classes, separated by commas (default: 0, 1, ...)");
  c.callback([o, &common] { run_convert(common, *o); });
}

}  // namespace reprise::clr
