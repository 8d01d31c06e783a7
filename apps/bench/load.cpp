// Times loading: reads, decodes and resizes every image of a data folder on all threads, and prints
// images/s.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <vector>

#include "apps/keep_freed_memory.h"
#include "data/loader/image_store.h"
#include "data/sets/find_tasks.h"
#include "engine/base/check.h"
#include "engine/base/parallel.h"
#include "engine/kernels/cpu/base/machine.h"

using namespace reprise;

namespace {

int run(const std::string& folder, int size, int rounds, bool json) {
  std::vector<data::Sample> samples;
  for (const data::Task& task : data::find_tasks(folder, {}))
    for (const auto* split : {&task.train, &task.val, &task.test})
      samples.insert(samples.end(), split->begin(), split->end());
  std::vector<double> seconds;
  for (int i = 0; i < rounds; ++i) {
    data::ImageStore store(samples, size, "");
    const double start = seconds_now();
    const auto unreadable = store.load();
    seconds.push_back(seconds_now() - start);
    REPRISE_CHECK(unreadable.empty(), "{}: {}", unreadable.front().path, unreadable.front().reason);
  }
  std::sort(seconds.begin(), seconds.end());
  const double rate = static_cast<double>(samples.size()) / seconds[seconds.size() / 2];
  if (json)
    fmt::print("{{\"images\": {}, \"images_per_second\": {:.1f}}}\n", samples.size(), rate);
  else
    fmt::print("{} images to {}x{}, {} threads: {:.0f} images/s\n", samples.size(), size, size,
               thread_count(), rate);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::string folder;
  int size = 224, rounds = 3;
  bool json = false;
  CLI::App app("Times the loading of images");
  app.add_option("folder", folder, "class folders, or a folder that holds several tasks")->required();
  app.add_option("--size", size);
  app.add_option("--rounds", rounds)->check(CLI::Range(1, 1000));
  app.add_flag("--json", json);
  CLI11_PARSE(app, argc, argv);
  keep_freed_memory();  // as clr does
  try {
    return run(folder, size, rounds, json);
  } catch (const Error& e) {
    fmt::print(stderr, "bench_load: {}\n", e.what());
    return 1;
  }
}
