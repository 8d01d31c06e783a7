#include "layers/architectures.h"

#include <algorithm>

#include "engine/base/check.h"

namespace reprise::layers {
namespace {

const ArchitectureFamily* const families[] = {&resnets, &xceptions, &mobilenets};

}  // namespace

std::unique_ptr<Network> make_network(const std::string& arch, int classes) {
  for (const ArchitectureFamily* family : families) {
    const auto names = family->names();
    if (std::find(names.begin(), names.end(), arch) != names.end()) return family->make(arch, classes);
  }
  throw_error("unknown architecture '{}'; known are {}", arch, fmt::join(known_architectures(), ", "));
}

std::vector<std::string> known_architectures() {
  std::vector<std::string> all;
  for (const ArchitectureFamily* family : families)
    for (const std::string& name : family->names()) all.push_back(name);
  return all;
}

std::optional<std::string> guess_architecture(const std::map<std::string, Shape>& file_shapes) {
  for (const ArchitectureFamily* family : families)
    if (auto found = family->guess(file_shapes)) return found;
  return std::nullopt;
}

}  // namespace reprise::layers
