// Nine real tasks beside the sources, if they are there.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "data/loader/check_readable.h"
#include "data/sets/find_tasks.h"

namespace reprise::data {
namespace {

TEST(RealTasks, AreFoundAndDecoded) {
  const std::string dir = std::string(REPRISE_SOURCE_DIR) + "/../shared/real/tasks";
  if (!std::filesystem::exists(dir)) GTEST_SKIP() << "no real tasks at " << dir;
  SetOptions options;
  options.max_images = 400;  // PokemonData has the most classes; enough to decode some of each kind
  std::vector<Task> tasks = find_tasks(dir, options);
  ASSERT_EQ(tasks.size(), 9u);
  EXPECT_TRUE(std::is_sorted(tasks.begin(), tasks.end(),
                             [](const Task& a, const Task& b) { return a.name < b.name; }));
  std::size_t images = 0;
  for (Task& task : tasks) {
    const bool divided = std::filesystem::exists(dir + "/" + task.name + "/train");
    EXPECT_EQ(task.val_from_train, !divided) << task.name;
    EXPECT_TRUE(task.unreadable.empty()) << task.name << ": " << task.unreadable[0].path;
    EXPECT_FALSE(task.val.empty()) << task.name;
    EXPECT_LE(task.train.size(), 400u);
    images += task.train.size() + task.val.size() + task.test.size() + task.spare.size();
    std::printf("%-22s %3zu classes, %5zu train (%zu spare), %4zu val, %4zu test\n", task.name.c_str(),
                task.classes.size(), task.train.size(), task.spare.size(), task.val.size(), task.test.size());
    for (const std::string& note : task.notes) std::printf("  %s\n", note.c_str());
  }
  EXPECT_EQ(images, 6968u);
  const auto digits =
      std::find_if(tasks.begin(), tasks.end(), [](const Task& t) { return t.name == "sign-digits"; });
  ASSERT_NE(digits, tasks.end());
  const TaskImages decoded = check_readable(*digits, options, 32, "");
  EXPECT_TRUE(digits->unreadable.empty());
  EXPECT_EQ(decoded.train->count(), 400);
}

}  // namespace
}  // namespace reprise::data
