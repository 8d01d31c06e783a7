#include "tests/fuzz/seeds.h"

#include <glob.h>

#include <sstream>

namespace reprise::fuzz {

std::vector<std::string> seed_files(const Target& target) {
  std::istringstream words{std::string(target.seeds) + " fuzz/corpus/" + std::string(target.name) + "/*"};
  std::vector<std::string> files;
  for (std::string word; words >> word;) {
    glob_t found{};
    if (::glob((std::string(REPRISE_SOURCE_DIR "/tests/") + word).c_str(), 0, nullptr, &found) == 0)
      files.insert(files.end(), found.gl_pathv, found.gl_pathv + found.gl_pathc);
    ::globfree(&found);
  }
  return files;
}

}  // namespace reprise::fuzz
