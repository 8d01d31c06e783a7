#include "apps/clr/learn/task_data.h"

#include <fmt/format.h>

#include "apps/clr/learn/observer.h"
#include "engine/base/check.h"
#include "engine/base/log.h"
#include "engine/base/utf8.h"

namespace reprise::clr {

data::Progress stopping(std::function<bool()> wants_stop) {
  if (!wants_stop) return {};
  return [wants_stop = std::move(wants_stop)](std::int64_t, std::int64_t) {
    if (wants_stop()) throw Interrupted("interrupted while the images were read; nothing was changed");
  };
}

const data::ImageStore* TaskData::split(const std::string& name) const {
  const auto& store = name == "test" ? images.test : name == "val" ? images.val : images.train;
  return store && store->count() > 0 ? store.get() : nullptr;
}

std::size_t report_task(const data::Task& task, bool skip_bad, bool quiet) {
  if (!task.unreadable.empty())
    log_line(fmt::format("task {}: {} of its files cannot be read{}", task.name, task.unreadable.size(),
                         skip_bad ? " and are left out" : ""));
  for (const auto& file : task.unreadable) log_line(fmt::format("  {}: {}", escaped(file.path), file.reason));
  if (!quiet)
    for (const auto& note : task.notes) log_warning(fmt::format("task {}: {}", task.name, note));
  return task.unreadable.size();
}

std::vector<TaskData> load_tasks(const DataOptions& options) {
  std::vector<TaskData> all;
  std::size_t unreadable = 0;
  for (auto& task : data::find_tasks(options.dir, options.sets)) {
    TaskData data;
    data.task = std::move(task);
    data.images = data::check_readable(data.task, options.sets, options.size, options.cache_dir,
                                       stopping(options.wants_stop));
    unreadable += report_task(data.task, options.sets.skip_bad, options.quiet);
    all.push_back(std::move(data));
  }
  REPRISE_CHECK(unreadable == 0 || options.sets.skip_bad,
                "{}: {} files cannot be read (listed above); --skip-bad leaves them out", options.dir,
                unreadable);
  for (auto& data : all)
    for (const char* split : {"train", "val", "test"})
      if (const auto* store = data.split(split)) data.digests[split] = store->digest();
  return all;
}

}  // namespace reprise::clr
