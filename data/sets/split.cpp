#include "data/sets/split.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "engine/base/check.h"
#include "engine/base/sha256.h"
#include "engine/base/utf8.h"

namespace reprise::data {
namespace {

void sort_samples(std::vector<Sample>& samples) {
  std::sort(samples.begin(), samples.end(), [](const Sample& a, const Sample& b) {
    return a.label != b.label ? a.label < b.label : a.relative < b.relative;
  });
}

struct Keyed {
  std::string key;
  Sample sample;
};

// Moves the training images out of the task, by class, each class in the order of the keys.
std::vector<std::vector<Keyed>> take_pool(Task& task) {
  std::vector<std::vector<Keyed>> pool(task.classes.size());
  const auto take = [&](std::vector<Sample>& from) {
    for (Sample& s : from) pool[static_cast<std::size_t>(s.label)].push_back({split_key(s), std::move(s)});
    from.clear();
  };
  take(task.train);
  take(task.spare);
  if (task.val_from_train) take(task.val);
  for (auto& c : pool)
    std::sort(c.begin(), c.end(), [](const Keyed& a, const Keyed& b) { return a.key < b.key; });
  return pool;
}

void note_small_class(Task& task, std::size_t label, std::size_t images) {
  const std::string& name = task.classes[label];
  if (images == 1 && task.val_from_train)
    add_note(task, fmt::format("class '{}' has one image: it trains, nothing of it validates", name));
  else if (images == 1)
    add_note(task, fmt::format("class '{}' has one training image", name));
  if (task.val_from_train) return;
  const bool validated = std::any_of(task.val.begin(), task.val.end(),
                                     [&](const Sample& s) { return s.label == static_cast<int>(label); });
  if (!validated) add_note(task, fmt::format("class '{}' has no image in val", name));
}

void note_small_classes(Task& task) {
  std::vector<std::size_t> images(task.classes.size(), 0);
  for (const Sample& s : task.train) ++images[static_cast<std::size_t>(s.label)];
  for (std::size_t c = 0; c < images.size(); ++c) note_small_class(task, c, images[c]);
}

// Drops the classes without a training image; the labels above each move down.
void drop_empty_classes(Task& task) {
  std::vector<bool> trained(task.classes.size(), false);
  for (const auto* samples : {&task.train, &task.spare})
    for (const Sample& s : *samples) trained[static_cast<std::size_t>(s.label)] = true;
  if (task.val_from_train)
    for (const Sample& s : task.val) trained[static_cast<std::size_t>(s.label)] = true;
  std::vector<int> label(task.classes.size(), -1);
  std::vector<std::string> kept;
  for (std::size_t c = 0; c < trained.size(); ++c) {
    if (trained[c]) {
      label[c] = static_cast<int>(kept.size());
      kept.push_back(task.classes[c]);
    } else {
      add_note(task,
               fmt::format("class '{}' is dropped: no training image of it can be read", task.classes[c]));
    }
  }
  for (auto* samples : {&task.train, &task.val, &task.test, &task.spare}) {
    std::erase_if(*samples, [&](const Sample& s) { return label[static_cast<std::size_t>(s.label)] < 0; });
    for (Sample& s : *samples) s.label = label[static_cast<std::size_t>(s.label)];
  }
  task.classes = std::move(kept);
}

}  // namespace

void check_all_readable(const std::vector<Unreadable>& unreadable) {
  std::string lines;
  for (std::size_t i = 0; i < std::min<std::size_t>(unreadable.size(), 64); ++i)
    lines += fmt::format("\n  {}: {}", escaped(unreadable[i].path), unreadable[i].reason);
  REPRISE_CHECK(unreadable.empty(), "data: {} files cannot be read{}{}", unreadable.size(), lines,
                unreadable.size() > 64 ? "\n  ..." : "");
}

void add_note(Task& task, std::string note) {
  if (std::find(task.notes.begin(), task.notes.end(), note) == task.notes.end())
    task.notes.push_back(std::move(note));
}

std::string split_key(const Sample& sample) {
  return sha256_hex(std::as_bytes(std::span(sample.relative)));
}

std::int64_t val_count(std::int64_t n, double fraction) {
  if (n < 2) return 0;
  const std::int64_t rounded = std::llround(fraction * static_cast<double>(n));
  return std::clamp<std::int64_t>(rounded, 1, n - 1);
}

void split_task(Task& task, const SetOptions& options) {
  const auto classes = static_cast<std::int64_t>(task.classes.size());
  REPRISE_CHECK(options.max_images == 0 || options.max_images >= classes,
                "data: {} training images are too few for {} classes\n  task    {}", options.max_images,
                classes, task.name);
  const std::int64_t per_class = options.max_images / classes;  // 0: all
  std::vector<std::vector<Keyed>> pool = take_pool(task);
  for (std::size_t c = 0; c < pool.size(); ++c) {
    const auto n = static_cast<std::int64_t>(pool[c].size());
    const std::int64_t val = task.val_from_train ? val_count(n, options.val_fraction) : 0;
    const std::int64_t train_end = per_class == 0 ? n : std::min(n, val + per_class);
    for (std::int64_t i = 0; i < n; ++i) {
      std::vector<Sample>& split = i < val ? task.val : i < train_end ? task.train : task.spare;
      split.push_back(std::move(pool[c][static_cast<std::size_t>(i)].sample));
    }
    note_small_class(task, c, pool[c].size());
  }
  for (auto* samples : {&task.train, &task.val, &task.test, &task.spare}) sort_samples(*samples);
}

void drop_unreadable(Task& task, const SetOptions& options, const std::vector<Unreadable>& bad) {
  std::set<std::string> paths;
  for (const Unreadable& u : bad) paths.insert(u.path);
  for (auto* samples : {&task.train, &task.val, &task.test, &task.spare})
    std::erase_if(*samples, [&](const Sample& s) { return paths.contains(s.path); });
  drop_empty_classes(task);
  REPRISE_CHECK(
      task.classes.size() >= 2,
      "data: a task needs at least two classes; without what cannot be read {} {} left\n  task    {}",
      task.classes.size(), task.classes.size() == 1 ? "is" : "are", task.name);
  if (task.ordered)
    note_small_classes(task);
  else
    split_task(task, options);
}

}  // namespace reprise::data
