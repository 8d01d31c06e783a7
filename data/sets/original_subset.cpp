#include "data/sets/original_subset.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "data/sets/python_random.h"
#include "data/sets/split.h"
#include "engine/base/check.h"

namespace reprise::data {
namespace {

constexpr std::uint32_t shuffle_seed = 27;
constexpr std::size_t most_classes = 300, many_classes = 60;

struct ClassRows {
  std::string id;
  std::vector<const DatabaseRow*> rows;
};

// Groups rows by class, the classes in the order of their first rows.
std::vector<ClassRows> by_class(const std::vector<DatabaseRow>& rows) {
  std::vector<ClassRows> classes;
  std::unordered_map<std::string, std::size_t> place;
  for (const DatabaseRow& row : rows) {
    const auto [at, is_new] = place.emplace(row.class_id, classes.size());
    if (is_new) classes.push_back({row.class_id, {}});
    classes[at->second].rows.push_back(&row);
  }
  return classes;
}

using ClassIds = std::unordered_set<std::string>;

ClassIds ids_of(const std::vector<ClassRows>& classes) {
  ClassIds ids;
  for (const ClassRows& c : classes) ids.insert(c.id);
  return ids;
}

// Removes the classes that the other split lacks, and returns their ids.
std::vector<std::string> take_unshared(std::vector<ClassRows>& classes, const ClassIds& other) {
  std::vector<std::string> ids;
  std::erase_if(classes, [&](const ClassRows& c) {
    if (other.contains(c.id)) return false;
    ids.push_back(c.id);
    return true;
  });
  return ids;
}

void check_shared(Task& task, std::vector<ClassRows>& train, std::vector<ClassRows>& val,
                  const SetOptions& options) {
  const ClassIds in_val = ids_of(val), in_train = ids_of(train);
  const auto report = [&](const std::vector<std::string>& ids, const char* has, const char* lacks) {
    if (ids.empty()) return;
    const std::string what =
        fmt::format("class {} has images in {} and none in {}", fmt::join(ids, ", class "), has, lacks);
    if (!options.skip_bad)
      throw Unlearnable(
          fmt::format("data: {} (--skip-bad leaves such classes out)\n  task    {}", what, task.name));
    add_note(task, what + ": left out");
  };
  report(take_unshared(train, in_val), "train", "val");
  report(take_unshared(val, in_train), "val", "train");
}

using Labels = std::unordered_map<std::string, int>;

std::vector<Sample> pick(std::vector<ClassRows> classes, const Labels& labels, std::int64_t total) {
  std::vector<Sample> samples;
  if (classes.empty()) return samples;
  const auto most =
      static_cast<std::size_t>(images_per_class(total, static_cast<std::int64_t>(classes.size())));
  PythonRandom random(shuffle_seed);
  for (ClassRows& c : classes) {
    random.shuffle(std::span(c.rows));
    c.rows.resize(std::min(c.rows.size(), most));
    for (const DatabaseRow* row : c.rows)
      samples.push_back({row->path, c.id + "/" + row->relative, labels.at(c.id)});
  }
  return samples;
}

}  // namespace

std::int64_t images_per_class(std::int64_t total, std::int64_t classes) {
  const std::int64_t whole = total / classes, twice_rest = total % classes * 2;
  return twice_rest > classes || (twice_rest == classes && whole % 2 == 1) ? whole + 1 : whole;
}

void take_original_subset(Task& task, DatabaseRows rows, const SetOptions& options) {
  std::vector<ClassRows> train = by_class(rows.train), val = by_class(rows.val), test = by_class(rows.test);
  // First decides which classes count: a class that does not may be absent from the other split.
  const ClassIds all_of_train = ids_of(train);
  if (options.skip_bad) check_shared(task, train, val, options);
  if (train.size() > most_classes) {
    add_note(task, fmt::format("{} classes, of which the first {} are learned", train.size(), most_classes));
    train.resize(most_classes);
  }
  const ClassIds learned = ids_of(train);
  std::erase_if(val,
                [&](const ClassRows& c) { return all_of_train.contains(c.id) && !learned.contains(c.id); });
  check_shared(task, train, val, options);
  if (train.size() < 2)
    throw Unlearnable(fmt::format("data: a task needs at least two classes, found {}\n  task    {}",
                                  train.size(), task.name));
  std::erase_if(test,
                [&](const ClassRows& c) { return all_of_train.contains(c.id) && !learned.contains(c.id); });
  if (const auto ids = take_unshared(test, learned); !ids.empty())
    add_note(task, fmt::format("class {} has images in test and none in train: left out",
                               fmt::join(ids, ", class ")));

  Labels labels;
  for (const ClassRows& c : train) {
    labels.emplace(c.id, static_cast<int>(task.classes.size()));
    task.classes.push_back(c.id);
  }
  const auto total = [](const std::vector<ClassRows>& classes, std::int64_t many) {
    return classes.size() >= many_classes ? many : many / 2;
  };
  task.train = pick(train, labels, total(train, 5120));
  task.val = pick(val, labels, total(val, 512));
  task.test = pick(test, labels, total(test, 512));
  task.ordered = true;
}

}  // namespace reprise::data
