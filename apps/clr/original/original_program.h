// The original program's methods as its command line names them, and the pretrained network that each starts
// from.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace reprise::clr {

// A published weight file.
struct PublishedFile {
  std::string_view name, address;
};

struct SeedProgram {
  std::string_view method;               // "Ghost_reduced_v1"
  std::string_view arch;                 // "resnet18"
  std::span<const PublishedFile> files;  // any of these; empty: it starts from nothing
};

// By the original name or by ours, where it stands for one of them. UsageError, with the list, otherwise.
const SeedProgram& find_seed_program(const std::string& method);

// The first of the program's files that lies in the folder; "" where it needs none. Throws Error naming each
// file and where it can be had.
std::string find_published_backbone(const SeedProgram& program, const std::string& folder);

}  // namespace reprise::clr
