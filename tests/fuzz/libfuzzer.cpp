// The same targets under clang's libFuzzer: fuzz TARGET [options] [FOUND [FOLDER…]].
// It begins with the target's seed files. Inputs that reach new code go into FOUND.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "tests/fuzz/seeds.h"

namespace {

reprise::fuzz::Target target;

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

// Replaces the target's name among the arguments by its seed files.
extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  static std::string seeds = "-seed_inputs=";
  try {
    target = reprise::fuzz::find_target(*argc > 1 ? (*argv)[1] : "");
  } catch (const std::exception& e) {
    std::fprintf(stderr, "fuzz: %s\n", e.what());
    std::exit(2);
  }
  for (const std::string& file : reprise::fuzz::seed_files(target))
    seeds += (seeds.ends_with('=') ? "" : ",") + file;
  (*argv)[1] = seeds.data();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  reprise::fuzz::accepts(target, std::as_bytes(std::span(data, size)));
  return 0;
}
