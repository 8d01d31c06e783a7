// Replaces files.cpp in a build without clr.
#include "tests/fuzz/targets.h"

namespace reprise::fuzz {

std::vector<Target> file_targets() {
  return {};
}

}  // namespace reprise::fuzz
