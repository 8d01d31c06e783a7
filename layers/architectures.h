// What each architecture's file gives to architectures.cpp. Private to this folder.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "layers/network.h"

namespace reprise::layers {

// Architectures that share one file. make gets one of the names; guess answers with one of them or nothing.
struct ArchitectureFamily {
  std::vector<std::string> (*names)();
  std::unique_ptr<Network> (*make)(const std::string& arch, int classes);
  std::optional<std::string> (*guess)(const std::map<std::string, Shape>& file_shapes);
};

extern const ArchitectureFamily resnets, xceptions;

}  // namespace reprise::layers
