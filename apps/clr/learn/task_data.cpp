#include "apps/clr/learn/task_data.h"

#include <fmt/format.h>

#include <filesystem>

#include "apps/clr/learn/observer.h"
#include "engine/base/check.h"
#include "engine/base/log.h"
#include "engine/base/parallel.h"
#include "engine/base/sha256.h"
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

namespace {

void check_unreadable(std::size_t unreadable, const DataOptions& options) {
  REPRISE_CHECK(unreadable == 0 || options.sets.skip_bad,
                "{}: {} files cannot be read (listed above); --skip-bad leaves them out", options.dir,
                unreadable);
}

}  // namespace

std::string files_digest_of(const data::Task& task) {
  Sha256 hash;
  for (const std::string& name : task.classes) hash.update(fmt::format("{}\n", escaped(name)));
  for (const auto& [split, samples] :
       {std::pair("train", &task.train), {"val", &task.val}, {"test", &task.test}}) {
    const std::vector<data::Sample>& files = *samples;
    std::vector<std::uintmax_t> sizes(files.size());
    parallel_for(std::ssize(files), 16, [&](std::int64_t begin, std::int64_t end) {
      std::error_code absent;  // decoding will say so
      for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i)
        sizes[i] = std::filesystem::file_size(files[i].path, absent);
    });
    for (std::size_t i = 0; i < sizes.size(); ++i)
      hash.update(fmt::format("{} {} {} {}\n", split, files[i].label, sizes[i], escaped(files[i].relative)));
  }
  return hash.hex();
}

std::vector<TaskData> find_task_data(const DataOptions& options) {
  std::vector<TaskData> all;
  for (auto& task : data::find_tasks(options.dir, options.sets)) {
    TaskData& data = all.emplace_back();
    data.task = std::move(task);
    data.files_digest = files_digest_of(data.task);
  }
  return all;
}

void check_headers(const std::vector<TaskData*>& tasks, const DataOptions& options) {
  std::size_t unreadable = 0;
  for (TaskData* data : tasks) {
    data::check_readable(data->task, options.sets, stopping(options.wants_stop), /*headers=*/true);
    unreadable += report_task(data->task, options.sets.skip_bad, options.quiet);
  }
  check_unreadable(unreadable, options);
}

void decode(TaskData& data, const DataOptions& options) {
  if (data.decoded()) return;
  REPRISE_CHECK(options.sets.skip_bad || files_digest_of(data.task) == data.files_digest,
                "task {}: its files in {} have changed since this call began", data.task.name, options.dir);
  data::Task task = data.task;
  task.unreadable.clear();  // those of the headers are told already
  task.notes.clear();
  data::TaskImages images =
      data::check_readable(task, options.sets, options.size, "", stopping(options.wants_stop));
  check_unreadable(report_task(task, options.sets.skip_bad, options.quiet), options);
  data.task = std::move(task);
  data.images = std::move(images);
  for (const char* split : {"train", "val", "test"})
    if (const auto* store = data.split(split)) data.digests[split] = store->digest();
}

}  // namespace reprise::clr
