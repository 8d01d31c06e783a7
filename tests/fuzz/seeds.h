// The files that a target begins with.
#pragma once

#include <string>
#include <vector>

#include "tests/fuzz/targets.h"

namespace reprise::fuzz {

// Those of Target::seeds, then those of tests/fuzz/corpus/<name>, by name.
std::vector<std::string> seed_files(const Target& target);

}  // namespace reprise::fuzz
