// The table that each architecture file exports to architectures.cpp. Private to this folder.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "layers/network.h"

namespace reprise::layers {

// The architectures that one file defines.
// `names` returns their names. `make` builds the network of one of these names.
// `guess` returns the name that the tensors of a weight file fit, or nothing.
struct ArchitectureFamily {
  std::vector<std::string> (*names)();
  std::unique_ptr<Network> (*make)(const std::string& arch, int classes);
  std::optional<std::string> (*guess)(const std::map<std::string, Shape>& file_shapes);
};

extern const ArchitectureFamily mobilenets, resnets, xceptions;

}  // namespace reprise::layers
