#include "apps/clr/original/original_program.h"

#include <filesystem>

#include "apps/clr/learn/errors.h"
#include "engine/base/check.h"
#include "layers/reprogramming/method.h"

namespace reprise::clr {
namespace {

constexpr PublishedFile resnet18_files[] = {
    {"resnet18-5c106cde.pth", "https://download.pytorch.org/models/resnet18-5c106cde.pth"},
    {"resnet18-f37072fd.pth", "https://download.pytorch.org/models/resnet18-f37072fd.pth"}};
constexpr PublishedFile resnet50_files[] = {
    {"resnet50-0676ba61.pth", "https://download.pytorch.org/models/resnet50-0676ba61.pth"}};
constexpr PublishedFile swav_files[] = {
    {"swav_800ep_pretrain.pth.tar",
     "https://dl.fbaipublicfiles.com/deepcluster/swav_800ep_pretrain.pth.tar"}};
constexpr PublishedFile xception_files[] = {
    {"xception-43020ad28.pth",
     "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-cadene/"
     "xception-43020ad28.pth"}};

constexpr OriginalProgram programs[] = {
    {"Ghost_reduced_v1", "resnet18", resnet18_files},
    {"Ghost", "resnet18", resnet18_files},
    {"Ghost_reduced_v2", "resnet18", resnet18_files},
    {"Ghost_a", "resnet18", resnet18_files},
    {"li18", "resnet18", resnet18_files},
    {"li50", "resnet50", resnet50_files},
    {"Linear", "resnet50", swav_files},
    {"Finetune", "resnet50", swav_files},
    {"Resnet_Scratch", "resnet50", {}},
    {"Xception_Ghost", "xception", xception_files},
    {"Xception_Linear", "xception", xception_files},
};

}  // namespace

const OriginalProgram& find_original_program(const std::string& method) {
  std::string known;
  for (const OriginalProgram& p : programs) {
    if (p.method == method) return p;
    known += (known.empty() ? "" : ", ") + std::string(p.method);
  }
  // It may be our name of a method: the first entry with that method.
  for (const OriginalProgram& p : programs)
    if (layers::find_method(p.method).name == method) return p;
  throw BadValue("method", method, "one of the original's: " + known);
}

std::string find_published_backbone(const OriginalProgram& program, const std::string& folder) {
  if (program.files.empty()) return {};
  std::string wanted;
  for (const PublishedFile& file : program.files) {
    const std::filesystem::path path = std::filesystem::path(folder) / file.name;
    std::error_code ignored;
    if (std::filesystem::exists(path, ignored)) return path.string();
    wanted += fmt::format("\n  {:<28} {}", file.name, file.address);
  }
  throw_error("{}: no backbone for {} ({}) here; put one of these files there, or give --backbone FILE{}",
              folder, program.method, program.arch, wanted);
}

}  // namespace reprise::clr
