// The original program's methods by its own names, and the pretrained network that each starts from.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace reprise::clr {

// A published weight file.
struct PublishedFile {
  std::string_view name, address;
};

struct OriginalProgram {
  std::string_view method;               // "Ghost_reduced_v1"
  std::string_view arch;                 // "resnet18"
  std::span<const PublishedFile> files;  // any of these; empty: it starts from nothing
};

// By the original name or by ours, where it stands for one of them. BadValue, with the list, otherwise.
const OriginalProgram& find_original_program(const std::string& method);

// The first of the program's files in the folder; "" where it needs none. Error names each and its address.
std::string find_published_backbone(const OriginalProgram& program, const std::string& folder);

}  // namespace reprise::clr
