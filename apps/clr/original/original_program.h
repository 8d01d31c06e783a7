// The original's methods by its own names, and the pretrained network of each.
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
  std::span<const PublishedFile> files;  // any one of these will do; empty: no pretrained network
};

// Finds an entry by the original's name of the method, or by
// ours. Throws BadValue, with a list, for another name.
const OriginalProgram& find_original_program(const std::string& method);

// Returns the path of the first of these files that is in the folder; "" if the method needs none.
// Throws an Error that names each file and its address if none is there.
std::string find_published_backbone(const OriginalProgram& program, const std::string& folder);

}  // namespace reprise::clr
