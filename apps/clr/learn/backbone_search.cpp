// Finds the backbone of a learned task if its path is not given.
#include <algorithm>
#include <filesystem>

#include "apps/clr/learn/network_weights.h"
#include "apps/clr/learn/run_record.h"
#include "apps/clr/learn/task_file.h"
#include "engine/base/check.h"

namespace reprise::clr {
namespace {

namespace fs = std::filesystem;

// Returns why the file does not hold the task's backbone; empty if it does.
std::string why_not(const std::string& path, const TaskFile& task) {
  try {
    WeightSource source = path;
    source.identity = task.backbone_identity;
    const NetworkWeights w = read_network_weights(source, task.arch);
    if (is_task_file(w.file)) return "a learned task";
    const std::string identity = identity_of(w.tensors, task.arch);
    if (identity != task.backbone_identity) return "another network, identity " + identity;
    return {};
  } catch (const Error& e) {
    const std::string reason = e.what();
    return reason.substr(0, reason.find('\n'));
  }
}

std::vector<std::string> weight_files_in(const fs::path& folder) {
  std::vector<std::string> files;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string extension = it->path().extension().string();
    std::error_code ignored;
    if ((extension == ".safetensors" || extension == ".pth" || extension == ".th" || extension == ".pt") &&
        it->is_regular_file(ignored))
      files.push_back(it->path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

std::string find_backbone(const TaskFile& task) {
  const fs::path folder = fs::absolute(task.path).parent_path(), run = folder.parent_path();
  std::string looked;
  const auto matches = [&](const std::string& path) {
    const std::string reason = why_not(path, task);
    if (!reason.empty()) looked += fmt::format("\n  {}: {}", path, reason);
    return reason.empty();
  };
  const RecordedBackbone named = read_recorded_backbone((run / "run.json").string());
  if (named.path.empty() && named.copy.empty())
    looked += fmt::format("\n  {}: names no backbone", (run / "run.json").string());
  if (const std::string copy = (run / named.copy).string(); !named.copy.empty() && matches(copy)) return copy;
  if (!named.path.empty() && matches(named.path)) return named.path;
  for (const fs::path& place : {folder, run}) {
    bool any = false;
    for (const std::string& file : weight_files_in(place)) {
      if (fs::path(file) == fs::absolute(task.path)) continue;
      any = true;
      if (matches(file)) return file;
    }
    if (!any) looked += fmt::format("\n  {}: no other weight file", place.string());
  }
  throw_error("{}: its backbone ({}, identity {}) was not found; give --backbone FILE\n  looked at{}",
              task.path, task.arch, task.backbone_identity, looked);
}

Backbone backbone_of(const TaskFile& task, WeightSource source, Device device, DType dtype) {
  if (task.backbone_identity == no_identity) return architecture_alone(task.arch, device, dtype);
  if (source.path.empty()) source.path = find_backbone(task);
  source.identity = task.backbone_identity;
  return load_backbone(source, task.arch, device, dtype);
}

}  // namespace reprise::clr
