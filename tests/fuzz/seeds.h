// The seed files of a target.
#pragma once

#include <string>
#include <vector>

#include "tests/fuzz/targets.h"

namespace reprise::fuzz {

// Returns the files of Target::seeds, then those of tests/fuzz/corpus/<target's name>,
// sorted by name.
std::vector<std::string> seed_files(const Target& target);

}  // namespace reprise::fuzz
