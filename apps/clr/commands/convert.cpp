// clr convert: weight files from one form to another, tensors and names untouched.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/clr/commands/commands.h"
#include "apps/clr/table.h"
#include "data/weights/weight_file.h"
#include "engine/core/check.h"

namespace reprise::clr {
namespace {

struct ConvertOptions {
  std::string in, out;
};

enum class Form { safetensors, pth };

Form form_of(const std::string& path) {
  const std::string extension = std::filesystem::path(path).extension().string();
  if (extension == ".safetensors") return Form::safetensors;
  if (extension == ".pth" || extension == ".th" || extension == ".pt") return Form::pth;
  throw UsageError(fmt::format("convert: OUT must end with .safetensors, .pth, .th or .pt, got '{}'", path));
}

void run_convert(const Common& common, const ConvertOptions& o) {
  const Form form = form_of(o.out);
  const data::WeightFile file = data::read_weights(o.in);
  std::error_code ignored;
  REPRISE_CHECK(!std::filesystem::equivalent(o.in, o.out, ignored), "convert: {} and {} are the same file",
                o.in, o.out);
  std::vector<std::string> left_out = file.skipped;
  if (form == Form::safetensors) {
    data::write_safetensors(o.out, file.tensors, file.metadata);
  } else {
    data::write_pth(o.out, file.tensors);
    for (const auto& [key, value] : file.metadata)
      left_out.push_back(fmt::format("metadata '{}': a .pth state dict has no place for it", key));
  }
  const std::string form_out = form == Form::safetensors ? "safetensors" : "pth-zip";
  if (common.json) {
    print_json({{"in", o.in},
                {"in_format", file.format},
                {"out", o.out},
                {"out_format", form_out},
                {"tensors", file.tensors.size()},
                {"skipped", left_out},
                {"converted", file.converted}});
    return;
  }
  std::string text = fmt::format("{} ({}) -> {} ({}): {} tensors\n", o.in, file.format, o.out, form_out,
                                 file.tensors.size());
  for (const std::string& line : file.converted) text += "  changed  " + line + "\n";
  for (const std::string& line : left_out) text += "  skipped  " + line + "\n";
  print(text);
}

}  // namespace

void add_convert(CLI::App& app, Common& common) {
  const auto o = std::make_shared<ConvertOptions>();
  CLI::App& c = add_command(app, common, "convert", "weight files between .pth, .th, .pt and .safetensors");
  c.add_option("IN", o->in, "the file to read, recognised by its content")->required();
  c.add_option("OUT", o->out, "the file to write; its extension says the form")->required();
  c.callback([o, &common] { run_convert(common, *o); });
}

}  // namespace reprise::clr
