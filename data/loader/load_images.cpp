#include "data/loader/load_images.h"

#include <numeric>

#include "data/loader/check_readable.h"
#include "engine/base/check.h"

namespace reprise::data {
namespace {

LabelledImages all_of(const ImageStore& store) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(store.count()));
  std::iota(all.begin(), all.end(), 0);
  return {store.batch(all), store.batch_labels(all)};
}

}  // namespace

Tensor load_images(const std::vector<std::string>& files, int size) {
  std::vector<Sample> samples;
  for (const std::string& file : files) samples.push_back({file, file, 0});
  ImageStore store(std::move(samples), size, {});
  check_all_readable(store.load());
  return all_of(store).images;
}

LoadedTask load_task(const std::string& path, int size, const SetOptions& options) {
  std::vector<Task> tasks = find_tasks(path, options);
  REPRISE_CHECK(tasks.size() == 1,
                "data: expected one task, found {}; choose with SetOptions::tasks\n  path    {}",
                tasks.size(), path);
  const TaskImages images = check_readable(tasks[0], options, size, {});
  if (!options.skip_bad) check_all_readable(tasks[0].unreadable);
  return {tasks[0].classes, all_of(*images.train), all_of(*images.val), all_of(*images.test)};
}

}  // namespace reprise::data
