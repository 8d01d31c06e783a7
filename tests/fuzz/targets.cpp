#include "tests/fuzz/targets.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "engine/base/check.h"

namespace reprise::fuzz {
namespace {

namespace fs = std::filesystem;

class Scratch {
 public:
  Scratch() {
    // In memory if the system offers it, because fuzzing writes a file for every input.
    const fs::path place = fs::is_directory("/dev/shm") ? fs::path("/dev/shm") : fs::temp_directory_path();
    std::string pattern = (place / "reprise-fuzz-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path = pattern;
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  std::string path;
};

}  // namespace

const std::string& scratch_folder() {
  static const Scratch scratch;
  return scratch.path;
}

std::string file_of(Bytes bytes, const std::string& below) {
  const fs::path path = fs::path(scratch_folder()) / below;
  if (!fs::exists(path.parent_path())) fs::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  return path.string();
}

std::vector<Target> all_targets() {
#ifdef REPRISE_FUZZ_IMAGES_ALONE
  return image_targets();
#else
  std::vector<Target> all;
  for (const auto& some : {weight_targets(), image_targets(), set_targets(), file_targets()})
    all.insert(all.end(), some.begin(), some.end());
  return all;
#endif
}

Target find_target(std::string_view name) {
  std::string known;
  for (const Target& t : all_targets()) {
    if (t.name == name) return t;
    known += fmt::format(" {}", t.name);
  }
  throw_error("no fuzz target '{}'; there are{}", name, known);
}

bool accepts(const Target& target, Bytes bytes) {
  try {
    target.run(bytes);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace reprise::fuzz
