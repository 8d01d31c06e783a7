// The drawn example tasks.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numbers>
#include <set>
#include <sstream>
#include <string>

#include "apps/clr/demo/demo_canvas.h"
#include "apps/clr/demo/demo_data.h"
#include "apps/clr/demo/demo_tasks.h"
#include "data/io/file.h"
#include "engine/base/error.h"
#include "tests/apps/support.h"

namespace reprise::clr {
namespace {

// Returns the pixels as a string, which a set can hold.
std::string bytes_of(const data::Image& image) {
  return {image.rgb.begin(), image.rgb.end()};
}

namespace fs = std::filesystem;

class DemoData : public ::testing::Test {
 protected:
  DemoData() { fs::remove_all(dir_); }
  ~DemoData() override { fs::remove_all(dir_); }
  const fs::path dir_ = fs::path(::testing::TempDir()) / "reprise_demo_data";
};

TEST(DemoCanvas, DrawsWhatDistancesSay) {
  EXPECT_DOUBLE_EQ(distance_to_segment({1, 1}, {0, 0}, {2, 0}), 1);
  EXPECT_DOUBLE_EQ(distance_to_segment({3, 0}, {0, 0}, {2, 0}), 1);  // beyond its end
  EXPECT_DOUBLE_EQ(distance_to_segment({1, 0}, {0, 0}, {1, 1}), std::sqrt(0.5));
  EXPECT_DOUBLE_EQ(distance_to_segment({0, 1}, {0, 0}, {1, 1}), std::sqrt(0.5));
  EXPECT_DOUBLE_EQ(distance_to_segment({3, 4}, {0, 0}, {0, 0}), 5);
  const Point turned = rotated({2, 1}, std::numbers::pi / 2);
  EXPECT_NEAR(turned.x, -1, 1e-12);
  EXPECT_NEAR(turned.y, 2, 1e-12);
  EXPECT_EQ(mix({0, 0, 1}, {1, 0.5, 0}, 0.25), (Color{0.25, 0.125, 0.75}));
  EXPECT_EQ(hsv(0, 1, 1), (Color{1, 0, 0}));
  EXPECT_EQ(hsv(0.5, 0.5, 0.5), (Color{0.25, 0.5, 0.5}));
  // The left part of a white square in black; the edge runs through the middle of the second column.
  Canvas canvas(4, {1, 1, 1});
  canvas.fill([](Point p) { return p.x - 0.375; }, Color{0, 0, 0});
  RandomStream random(1, "canvas");
  const data::Image image = canvas.image(random, 0, 0);
  for (std::size_t i = 0; i < 16; ++i) {
    const int expected[] = {0, 128, 255, 255};
    EXPECT_EQ(image.rgb[3 * i + 1], expected[i % 4]) << i;
  }
  // The right part; nothing runs on into the next row.
  Canvas right(4, {1, 1, 1});
  right.fill([](Point p) { return 0.75 - p.x; }, Color{0, 0, 0});
  const data::Image mirrored = right.image(random, 0, 0);
  for (std::size_t i = 0; i < 16; ++i) EXPECT_EQ(mirrored.rgb[3 * i + 1], i % 4 == 3 ? 0 : 255) << i;
}

TEST_F(DemoData, FillsClassFolders) {
  write_demo_data(dir_.string(), {.count = 3, .images = 4, .size = 20, .seed = 7});
  std::set<std::string> tasks;
  for (const auto& entry : fs::directory_iterator(dir_)) tasks.insert(entry.path().filename());
  const auto names = demo_task_names();
  EXPECT_EQ(tasks, std::set<std::string>(names.begin(), names.begin() + 3));
  for (int t = 0; t < 3; ++t) {
    const DemoTask& task = demo_tasks()[static_cast<std::size_t>(t)];
    for (std::size_t label = 0; label < task.classes.size(); ++label) {
      const fs::path folder = dir_ / task.name / task.classes[label];
      const auto files = std::distance(fs::directory_iterator(folder), fs::directory_iterator());
      EXPECT_EQ(files, t == 0 ? 12 : 4) << folder;
      const auto image = data::decode_image(data::read_file((folder / "0003.png").string()));
      const auto drawn = draw_demo_image(task, static_cast<int>(label), 3, {.size = 20, .seed = 7});
      EXPECT_EQ(image.width, 20);
      EXPECT_EQ(image.rgb, drawn.rgb) << folder;
    }
  }
}

// The figures of README and of the lessons are of these pictures. Of each, the list has the mean colours of
// the four quarters. REPRISE_DEMO=FILE writes it anew.
TEST_F(DemoData, DrawsWhatItDrew) {
  std::string all;
  constexpr int half = 12;
  for (const DemoTask& task : demo_tasks())
    for (std::size_t label = 0; label < task.classes.size(); ++label) {
      all += task.name + " " + task.classes[label];
      const auto image = draw_demo_image(task, static_cast<int>(label), 5, {.size = 2 * half, .seed = 3});
      for (std::size_t part = 0; part < 12; ++part) {  // quarter and channel
        int sum = 0;
        for (std::size_t i = 0; i < half * half; ++i) {
          const std::size_t y = part / 6 * half + i / half, x = part / 3 % 2 * half + i % half;
          sum += image.rgb[3 * (2 * half * y + x) + part % 3];
        }
        all += " " + std::to_string(sum / half / half);
      }
      all += "\n";
    }
  if (const char* to = std::getenv("REPRISE_DEMO")) std::ofstream(to) << all;
  std::istringstream now(all);
  std::ifstream before(REPRISE_SOURCE_DIR "/tests/golden/demo.txt");
  for (std::string a, b; now >> a;) {
    ASSERT_TRUE(before >> b);
    // Another library's sine may round otherwise.
    if (a == b) continue;
    EXPECT_NEAR(std::stoi(a), std::stoi(b), 1) << a << " " << b;
  }
  EXPECT_FALSE(before >> all) << "the list has more: " << all;
}

TEST_F(DemoData, RefusesAFolderThatIsNotEmpty) {
  fs::create_directories(dir_);
  std::ofstream(dir_ / "notes.txt") << "mine";
  EXPECT_THROW(write_demo_data(dir_.string(), {}), Error);
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_), fs::directory_iterator()), 1);
  EXPECT_THROW(write_demo_data((dir_ / "notes.txt").string(), {}), Error);
}

// Options are looked at before the folder, which here cannot be made.
TEST_F(DemoData, RefusesOptionsOutOfRange) {
  std::ofstream(dir_.string()) << "mine";
  const int all = static_cast<int>(demo_tasks().size());
  for (const auto& [count, images, size, what] : {std::tuple(1, 1, 16, "cannot make the folder"),
                                                  {all, 3333, 512, "cannot make the folder"},
                                                  {0, 1, 16, " tasks, expected 1 to "},
                                                  {all + 1, 1, 16, " tasks, expected 1 to "},
                                                  {1, 0, 16, "0 images a class, expected 1 to 3333"},
                                                  {1, 3334, 16, "3334 images a class, expected 1 to 3333"},
                                                  {1, 1, 15, "a size of 15 pixels, expected 16 to 512"},
                                                  {1, 1, 513, "a size of 513 pixels, expected 16 to 512"}}) {
    const DemoDataOptions options{.count = count, .images = images, .size = size};
    EXPECT_SAYS(test::error_of([&] { write_demo_data((dir_ / "below").string(), options); }), what);
  }
}

TEST_F(DemoData, TasksAreManyAndSorted) {
  const auto names = demo_task_names();
  EXPECT_GE(names.size(), 8U);
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  EXPECT_EQ(demo_tasks()[0].classes.size(), 10U);
  for (const DemoTask& task : demo_tasks()) {
    EXPECT_GE(task.classes.size(), 3U) << task.name;
    EXPECT_EQ(std::set<std::string>(task.classes.begin(), task.classes.end()).size(), task.classes.size());
  }
}

// No two images are equal, even with the same stream for another label, or with another seed.
TEST_F(DemoData, EveryImageIsItsOwn) {
  for (const DemoTask& task : demo_tasks()) {
    std::set<std::string> seen;
    std::size_t drawn = 0;
    for (int label = 0; label < std::ssize(task.classes); ++label) {
      for (int index = 0; index < 3; ++index)
        for (std::uint64_t seed = 0; seed < 2; ++seed, ++drawn)
          seen.insert(bytes_of(draw_demo_image(task, label, index, {.seed = seed})));
      RandomStream same(0, "the same draws", 0);
      seen.insert(bytes_of(task.draw(label, 32, same)));
      ++drawn;
    }
    EXPECT_EQ(seen.size(), drawn) << task.name;
  }
}

}  // namespace
}  // namespace reprise::clr
