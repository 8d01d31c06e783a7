#include "data/loader/check_readable.h"

#include <set>

#include "data/loader/progress.h"
#include "data/loader/read_image.h"
#include "data/sets/split.h"
#include "engine/base/error.h"
#include "engine/base/parallel.h"

namespace reprise::data {
namespace {

// Repeats until all files are readable, as another file may take a bad one's place (see
// max_images). `read_all` returns the files that it could not read.
template <class ReadAll>
void drop_until_readable(Task& task, const SetOptions& options, const ReadAll& read_all) {
  for (;;) {
    const std::vector<Unreadable> bad = read_all();
    task.unreadable.insert(task.unreadable.end(), bad.begin(), bad.end());
    if (bad.empty() || !options.skip_bad) return;
    drop_unreadable(task, options, bad);
  }
}

std::unique_ptr<ImageStore> make_store(const std::vector<Sample>& samples, int size,
                                       const std::string& cache_dir, Grey16 grey16, const TaskImages& known) {
  auto store = std::make_unique<ImageStore>(samples, size, cache_dir, grey16);
  for (const auto* other : {&known.train, &known.val, &known.test})
    if (*other) store->adopt(**other);
  return store;
}

}  // namespace

TaskImages check_readable(Task& task, const SetOptions& options, int size, const std::string& cache_dir,
                          const Progress& progress) {
  TaskImages images;
  const Grey16 grey16 = options.clip_grey16 ? Grey16::clip : Grey16::scale;
  drop_until_readable(task, options, [&] {
    TaskImages now{make_store(task.train, size, cache_dir, grey16, images),
                   make_store(task.val, size, cache_dir, grey16, images),
                   make_store(task.test, size, cache_dir, grey16, images)};
    const std::int64_t total = now.train->missing() + now.val->missing() + now.test->missing();
    std::int64_t before = 0;
    std::vector<Unreadable> bad;
    for (ImageStore* store : {now.train.get(), now.val.get(), now.test.get()}) {
      const std::int64_t missing = store->missing();
      const auto part = store->load([&](std::int64_t done, std::int64_t) {
        if (progress) progress(before + done, total);
      });
      bad.insert(bad.end(), part.begin(), part.end());
      before += missing;
    }
    images = std::move(now);
    return bad;
  });
  return images;
}

void check_readable(Task& task, const SetOptions& options, const Progress& progress, bool headers) {
  std::set<std::string> checked;
  drop_until_readable(task, options, [&] {
    std::vector<std::string> paths;
    for (const auto* samples : {&task.train, &task.val, &task.test})
      for (const Sample& s : *samples)
        if (checked.insert(s.path).second) paths.push_back(s.path);
    const auto total = static_cast<std::int64_t>(paths.size());
    std::vector<std::string> reasons(paths.size());
    ProgressCount count(progress, total);
    parallel_for(total, 1, [&](std::int64_t begin, std::int64_t end) {
      for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end) && !count.stopped();
           ++i) {
        try {
          if (headers)
            check_header(paths[i]);
          else
            read_image(paths[i]);
        } catch (const Error& error) {
          reasons[i] = error.what();
        }
        count.step();
      }
    });
    std::vector<Unreadable> bad;
    for (std::size_t i = 0; i < paths.size(); ++i)
      if (!reasons[i].empty()) bad.push_back({paths[i], reasons[i]});
    return bad;
  });
}

}  // namespace reprise::data
