// The fuzz targets. A target takes arbitrary bytes, for which it may throw Error and nothing else.
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
  std::string_view seeds;  // its seed files: patterns "folder/*.end" below tests/, separated by blanks
  void (*run)(Bytes);
};

std::vector<Target> weight_targets();  // safetensors, zip, pickle, deflate, tar
std::vector<Target> image_targets();   // one per decoder of this build
std::vector<Target> set_targets();     // lists, folders, names, databases
std::vector<Target> file_targets();    // what clr writes and reads again; none if clr is not built

// Returns all targets that this program is linked with.
std::vector<Target> all_targets();
// Finds a target by name. Throws Error if there is none.
Target find_target(std::string_view name);

// Runs a target. Returns false if it threw Error; other exceptions are not caught.
bool accepts(const Target& target, Bytes bytes);

// Writes the bytes to the file `below` in the scratch folder and returns its path.
std::string file_of(Bytes bytes, const std::string& below);
// Returns the scratch folder, which is removed when the process ends.
const std::string& scratch_folder();

}  // namespace reprise::fuzz
