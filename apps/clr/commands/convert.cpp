// clr convert: writes a weight file in another form, with the same tensors and names.
#include "apps/clr/commands/commands.h"
#include "apps/clr/learn/network_weights.h"
#include "apps/clr/original/original_state_dict.h"

namespace reprise::clr {
namespace {

struct ConvertOptions {
  std::string in, out, backbone;
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

void run_convert(const Common& common, const ConvertOptions& o) {
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
               "the task learned on this backbone");
  c.add_names("--classes", o->classes,
              "with --backbone: names of the task's classes, separated by commas (default: 0, 1, ...)");
  c.callback([o, &common] { run_convert(common, *o); });
}

}  // namespace reprise::clr
