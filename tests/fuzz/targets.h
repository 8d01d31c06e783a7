// What is fuzzed. A target takes bytes that nobody vouches for; whatever they are, it may throw Error and
// nothing else.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace reprise::fuzz {

using Bytes = std::span<const std::byte>;

struct Target {
  std::string_view name;
  std::string_view seeds;  // files to begin with: "folder/*.end" below tests/, several divided by blanks
  void (*run)(Bytes);
};

std::vector<Target> weight_targets();  // safetensors, zip, pickle, deflate, tar
std::vector<Target> image_targets();   // one a decoder, as this build has them
std::vector<Target> set_targets();     // lists, databases
std::vector<Target> file_targets();    // what clr writes and reads again; where clr is built

// All of the above that this program is linked with.
std::vector<Target> all_targets();
// Error where there is none of this name.
Target find_target(std::string_view name);

// Runs a target; true where it took the input, false where it threw Error. Anything else is not caught.
bool accepts(const Target& target, Bytes bytes);

// A file of these bytes, always the same one, in a folder that goes away with the process: for parsers that
// take a path.
std::string file_of(Bytes bytes, const std::string& below);
// That folder.
const std::string& scratch_folder();

}  // namespace reprise::fuzz
