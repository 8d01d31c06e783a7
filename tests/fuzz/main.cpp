// Feeds every target its seed files, whole and with damage sampled from a fixed random stream:
// the same inputs in every run and with every compiler.
// Nothing guides the damage; libfuzzer.cpp does that.
//   test_fuzz [--mutations=N] [TARGET…]
// N is the number of damaged forms of each seed file (default 100).
// With 0 it prints why files are refused.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "data/io/file.h"
#include "engine/base/error.h"
#include "engine/base/random.h"
#include "tests/fuzz/seeds.h"

namespace reprise::fuzz {
namespace {

using Buffer = std::vector<std::byte>;

// Changes bytes, flips bits, writes an interesting number, or removes, repeats or cuts off a part.
void damage(Buffer& bytes, RandomStream& random) {
  constexpr std::uint64_t numbers[] = {0,      1,      0x7F,    0x80,       0xFF,        0x100,       0x7FFF,
                                       0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000U, 0xFFFFFFFFU, ~0ULL};
  if (bytes.empty()) return;
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random.below(n)); };
  const std::size_t at = below(bytes.size());
  const std::size_t n = 1 + below(std::min<std::size_t>(bytes.size() - at, 64));
  const auto place = bytes.begin() + static_cast<std::ptrdiff_t>(at);
  switch (below(7)) {
    case 0:
      bytes[at] = static_cast<std::byte>(below(256));
      break;
    case 1:
      bytes[at] ^= static_cast<std::byte>(1U << below(8));
      break;
    case 2: {
      const std::uint64_t number = numbers[below(std::size(numbers))];
      for (std::size_t i = 0, size = std::size_t{1} << below(4); i < size && at + i < bytes.size(); ++i)
        bytes[at + i] = static_cast<std::byte>(number >> (8 * i));
      break;
    }
    case 3:
      bytes.erase(place, place + static_cast<std::ptrdiff_t>(n));
      break;
    case 4: {
      const Buffer part(place, place + static_cast<std::ptrdiff_t>(n));
      bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(below(bytes.size() + 1)), part.begin(),
                   part.end());
      break;
    }
    case 5:
      bytes.resize(at);
      break;
    default:
      for (std::size_t i = 0; i < n; ++i) bytes[at + i] = static_cast<std::byte>(below(256));
  }
}

void explain(const Target& target, const std::string& file) {
  try {
    target.run(data::read_file(file));
  } catch (const Error& e) {
    fmt::print("{}\n  {}\n", file.substr(file.rfind('/') + 1), e.what());
  }
}

void run(const Target& target, int mutations) {
  std::int64_t executions = 0, accepted = 0;
  const auto files = seed_files(target);
  if (mutations == 0)
    for (const std::string& file : files) explain(target, file);
  for (const std::string& file : files) {
    const Buffer seed = data::read_file(file);
    RandomStream random(0, std::string(target.name) + file.substr(file.rfind('/')));
    for (int i = 0; i <= mutations; ++i) {
      Buffer bytes = seed;
      for (int k = 0; i > 0 && k <= i % 4; ++k) damage(bytes, random);
      accepted += accepts(target, bytes) ? 1 : 0;
      ++executions;
    }
  }
  fmt::print("{:<20} {:>4} seeds {:>9} executions {:>9} accepted\n", target.name, files.size(), executions,
             accepted);
  std::fflush(stdout);
  if (files.empty()) throw std::runtime_error(fmt::format("{}: no seeds", target.name));
}

}  // namespace
}  // namespace reprise::fuzz

int main(int argc, char** argv) {
  using namespace reprise::fuzz;
  int mutations = 100;
  std::vector<Target> chosen;
  try {
    for (int i = 1; i < argc; ++i) {
      const std::string word = argv[i];
      if (word.starts_with("--mutations="))
        mutations = std::atoi(word.c_str() + 12);
      else
        chosen.push_back(find_target(word));
    }
    for (const Target& t : chosen.empty() ? all_targets() : chosen) run(t, mutations);
  } catch (const std::exception& e) {
    fmt::print(stderr, "test_fuzz: {}\n", e.what());
    return 1;
  }
  return 0;
}
