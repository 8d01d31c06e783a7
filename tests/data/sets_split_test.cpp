// The split into training and validation images.
#include "data/sets/split.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "engine/base/sha256.h"
#include "tests/data/temporary_folder.h"

namespace reprise::data {
namespace {

std::set<std::string> relatives(const std::vector<Sample>& samples) {
  std::set<std::string> names;
  for (const Sample& s : samples) names.insert(s.relative);
  return names;
}

Task read(const TemporaryFolder& dir, const SetOptions& options = {}) {
  return find_tasks(dir.path(), options).at(0);
}

void fill(const TemporaryFolder& dir, const std::string& folder, int images) {
  for (int i = 0; i < images; ++i) dir.image(folder + "/" + std::to_string(i) + ".ppm", i);
}

TEST(Split, ValCountRoundsHalvesUp) {
  EXPECT_EQ(val_count(0, 0.1), 0);
  EXPECT_EQ(val_count(1, 0.9), 0);
  EXPECT_EQ(val_count(2, 0.1), 1);
  EXPECT_EQ(val_count(2, 0.9), 1);  // one is left for training
  EXPECT_EQ(val_count(14, 0.1), 1);
  EXPECT_EQ(val_count(16, 0.1), 2);
  EXPECT_EQ(val_count(10, 0.25), 3);  // 2.5
  EXPECT_EQ(val_count(14, 0.25), 4);  // 3.5
  EXPECT_EQ(val_count(1000, 0.1), 100);
}

TEST(Split, TheSmallestDigestsValidate) {
  TemporaryFolder dir;
  fill(dir, "a", 20);
  fill(dir, "b/inner", 20);
  fill(dir, "b", 1);
  SetOptions options;
  options.val_fraction = 0.25;
  const Task task = read(dir, options);
  ASSERT_EQ(task.val.size(), 10u);
  for (const int label : {0, 1}) {
    std::string largest_val, smallest_train = "g";
    for (const Sample& s : task.val)
      if (s.label == label) largest_val = std::max(largest_val, split_key(s));
    for (const Sample& s : task.train)
      if (s.label == label) smallest_train = std::min(smallest_train, split_key(s));
    EXPECT_LT(largest_val, smallest_train);
  }
  EXPECT_EQ(split_key({"", "b/inner/3.ppm", 1}), sha256_hex(std::as_bytes(std::span("b/inner/3.ppm", 13))));
}

TEST(Split, AnotherClassMovesNothing) {
  TemporaryFolder dir;
  fill(dir, "a", 15);
  fill(dir, "b", 15);
  const auto before = relatives(read(dir).val);
  fill(dir, "b", 40);
  fill(dir, "0", 9);
  auto after = relatives(read(dir).val);
  std::erase_if(after, [](const std::string& r) { return !r.starts_with("a/"); });
  std::set<std::string> of_a;
  for (const std::string& r : before)
    if (r.starts_with("a/")) of_a.insert(r);
  EXPECT_EQ(after, of_a);
}

TEST(Split, AClassOfOneImageTrains) {
  TemporaryFolder dir;
  fill(dir, "a", 5);
  fill(dir, "single", 1);
  const Task task = read(dir);
  EXPECT_TRUE(relatives(task.train).contains("single/0.ppm"));
  EXPECT_EQ(task.val.size(), 1u);
  ASSERT_EQ(task.notes.size(), 1u);
  EXPECT_NE(task.notes[0].find("class 'single' has one image"), std::string::npos);
}

TEST(Split, OnlyAClassOfOneTrainingImageIsNoted) {
  TemporaryFolder dir;
  for (const auto& [folder, images] :
       {std::pair("train/one", 1), {"train/two", 2}, {"val/one", 1}, {"val/two", 1}})
    fill(dir, folder, images);
  EXPECT_EQ(read(dir).notes, (std::vector<std::string>{"class 'one' has one training image"}));
}

TEST(Split, MaxImagesTakesEquallyOfEachClass) {
  TemporaryFolder dir;
  fill(dir, "a", 30);
  fill(dir, "b", 20);
  fill(dir, "few", 3);
  SetOptions options;
  options.max_images = 17;  // 5 of each class
  const Task task = read(dir, options), all = read(dir);
  const auto of = [](const Task& t, int label) {
    return std::count_if(t.train.begin(), t.train.end(), [&](const Sample& s) { return s.label == label; });
  };
  EXPECT_EQ(of(task, 0), 5);
  EXPECT_EQ(of(task, 1), 5);
  EXPECT_EQ(of(task, 2), 2);
  EXPECT_EQ(task.spare.size(), all.train.size() - 12);
  EXPECT_EQ(relatives(task.val), relatives(all.val));  // independent of the training images
  const auto wide = relatives(all.train);
  for (const std::string& r : relatives(task.train)) EXPECT_TRUE(wide.contains(r));
  options.max_images = 20;  // a class's selection only grows
  const auto larger = relatives(read(dir, options).train);
  for (const std::string& r : relatives(task.train)) EXPECT_TRUE(larger.contains(r)) << r;
}

TEST(Split, DroppedFilesAreAsIfTheyHadNeverBeenThere) {
  for (const std::int64_t max_images : {0, 12}) {
    TemporaryFolder with, without;
    for (const auto* dir : {&with, &without}) {
      fill(*dir, "a", 20);
      fill(*dir, "c", 20);
    }
    fill(with, "b", 2);
    SetOptions options;
    options.max_images = max_images;
    Task task = read(with, options);
    std::vector<Unreadable> bad = {{with.path("b/0.ppm"), ""}, {with.path("b/1.ppm"), ""}};
    // A validation image and a training image.
    for (const std::string& below : {task.val[0].relative, task.train[0].relative}) {
      bad.push_back({with.path(below), ""});
      std::filesystem::remove(without.path(below));
    }
    drop_unreadable(task, options, bad);
    const Task expected = read(without, options);
    EXPECT_EQ(task.classes, expected.classes);
    EXPECT_EQ(relatives(task.val), relatives(expected.val));
    EXPECT_EQ(relatives(task.train), relatives(expected.train));
    EXPECT_EQ(relatives(task.spare), relatives(expected.spare));
    for (const Sample& s : task.train) EXPECT_EQ(s.label, s.relative.starts_with("c/") ? 1 : 0);
  }
}

}  // namespace
}  // namespace reprise::data
