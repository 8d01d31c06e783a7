// Limits of stores, tasks and lists from both sides: what is exactly at one is taken, what is one beyond
// is refused.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "data/limits.h"
#include "data/loader/check_readable.h"
#include "data/loader/image_store.h"
#include "data/loader/pixel_cache.h"
#include "data/sets/find_tasks.h"
#include "data/sets/names.h"
#include "data/sets/original_subset.h"
#include "data/sets/split.h"
#include "data/sets/sqlite_file.h"
#include "data/sets/walk.h"
#include "tests/data/expect_says.h"
#include "tests/data/temporary_folder.h"

namespace reprise::data {
namespace {

using namespace std::string_literals;
using testing::expect_says;

TEST(SetLimits, SizesOfAStore) {
  for (const int size : {1, 4096}) EXPECT_EQ(ImageStore({}, size, "").size(), size);
  for (const int size : {0, 4097})
    expect_says(message_of([&] { ImageStore({}, size, ""); }), "1 to 4096 is expected");
}

TEST(SetLimits, TheCacheTakesExactlyItsShare) {
  TemporaryFolder dir;
  std::vector<Sample> samples;
  for (int i = 0; i < 4; ++i) {
    dir.image(std::to_string(i) + ".ppm", i);
    samples.push_back({dir.path(std::to_string(i) + ".ppm"), "", 0});
  }
  ::setenv("REPRISE_CACHE_MB", "3", 1);  // four images of 512 x 512 pixels
  ImageStore store(samples, 512, dir.path("cache"));
  EXPECT_TRUE(store.load().empty());
  EXPECT_FALSE(store.in_cache_file());
  ImageStore more({samples[0]}, 1, dir.path("cache"));
  EXPECT_TRUE(more.load().empty());
  EXPECT_TRUE(more.in_cache_file());
  ::setenv("REPRISE_CACHE_MB", "-1", 1);
  expect_says(message_of([&] { ImageStore(samples, 5, "").load(); }), "expected 0 to 1099511627775, got -1");
  ::setenv("REPRISE_CACHE_MB", "1099511627776", 1);  // 2^40 MiB
  expect_says(message_of([&] { ImageStore(samples, 5, "").load(); }),
              "expected 0 to 1099511627775, got 1099511627776");
  ::setenv("REPRISE_CACHE_MB", "1099511627775", 1);
  EXPECT_TRUE(ImageStore(samples, 5, "").load().empty());
  ::unsetenv("REPRISE_CACHE_MB");
}

// A cache file is written in parts of at most 64 MiB: here two rows and one.
TEST(SetLimits, PartsOfACacheFile) {
  TemporaryFolder dir;
  constexpr std::size_t row = (std::size_t{64} << 20) / 2;
  Digest key{};
  key[0] = 7;
  std::vector<std::int64_t> parts;
  write_rows(dir.path("rows"), key, 3, row,
             [&](std::int64_t begin, std::int64_t end, std::byte* rows, Digest* digests) {
               parts.insert(parts.end(), {begin, end});
               for (std::int64_t i = begin; i < end; ++i) {
                 std::byte* to = rows + static_cast<std::size_t>(i - begin) * row;
                 to[0] = to[row - 1] = static_cast<std::byte>(i + 1);
                 digests[i - begin] = no_digest;
               }
             });
  EXPECT_EQ(parts, (std::vector<std::int64_t>{0, 2, 2, 3}));
  const auto rows = open_rows(dir.path("rows"), key, 3, row);
  ASSERT_NE(rows, nullptr);
  for (std::int64_t i = 0; i < 3; ++i)
    for (const std::size_t at : {std::size_t{0}, row - 1})
      EXPECT_EQ(rows->row(i)[at], static_cast<std::byte>(i + 1)) << i;
}

TEST(SetLimits, TheSizeOfACacheFile) {
  TemporaryFolder dir;
  write_rows(dir.path("rows"), {}, 1, 1, [](std::int64_t, std::int64_t, std::byte* rows, Digest* digests) {
    rows[0] = {}, digests[0] = no_digest;
  });
  const auto warning = [&](const std::string& path, bool opens) {
    ::testing::internal::CaptureStderr();
    EXPECT_EQ(open_rows(path, {}, 1, 1) != nullptr, opens) << path;
    return ::testing::internal::GetCapturedStderr();
  };
  EXPECT_EQ(warning(dir.path("rows"), true), "");
  expect_says(warning(dir.path(), false), "has another size than it should");
  const auto size = std::filesystem::file_size(dir.path("rows"));
  for (const auto other : {size + 1, size - 1}) {
    std::filesystem::resize_file(dir.path("rows"), other);
    expect_says(warning(dir.path("rows"), false), "has another size than it should");
  }
}

TEST(SetLimits, GreyOf16BitsIsScaledUnlessAskedOtherwise) {
  TemporaryFolder dir;
  for (const std::string name : {"a/0.pgm", "b/0.pgm"}) dir.write(name, "P5 1 1 65535\n\1\1");
  for (const bool clip : {false, true}) {
    SetOptions options;
    if (clip) options.clip_grey16 = true;
    Task task = find_tasks(dir.path(), options).at(0);
    const TaskImages images = check_readable(task, options, 1, "");
    const std::int64_t first[] = {0};
    EXPECT_EQ(images.train->batch(first).data<std::uint8_t>()[0], clip ? 255 : 1);
  }
}

TEST(SetLimits, FoldersBelowAClass) {
  TemporaryFolder dir;
  std::string deepest = "class";
  for (int i = 0; i < limits::folder_nesting; ++i) deepest += "/d";
  dir.image(deepest + "/taken.ppm");
  dir.image(deepest + "/d/not.ppm");
  const ClassFiles found = Walker(10).walk(dir.path("class"));
  ASSERT_EQ(found.images.size(), 1U);
  EXPECT_TRUE(found.images[0].ends_with("/taken.ppm"));
  ASSERT_EQ(found.unreadable.size(), 1U);
  EXPECT_EQ(found.unreadable[0].path, dir.path(deepest + "/d"));
  expect_says(found.unreadable[0].reason, "nested deeper than 64");
}

TEST(SetLimits, NamesOfTasks) {
  TemporaryFolder dir;
  const auto says = [&](const std::string& name) {
    for (const std::string c : {"/a/0.ppm", "/b/0.ppm"}) dir.image(name + c);
    try {
      find_tasks(dir.path(name), {});
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return ""s;
  };
  EXPECT_EQ(says(std::string(200, 'x')), "");
  expect_says(says(std::string(201, 'x')), "201 bytes, at most 200");
  EXPECT_EQ(says("%%" + std::string(194, 'x')), "");
  expect_says(says("%%" + std::string(195, 'x')), "201 bytes, at most 200");
}

TEST(SetLimits, LinesOfLists) {
  TemporaryFolder dir;
  for (const std::string i : {"0", "1", "2"}) dir.image(i + ".ppm");
  const auto read = [&](const std::string& text, const SetOptions& options = {}) {
    dir.write("list.txt", text);
    return find_tasks(dir.path("list.txt"), options).at(0);
  };
  const auto says = [&](const std::string& text) { return message_of([&] { read(text); }); };
  const std::string two = "0.ppm a\n1.ppm b\n", label(limits::list_label_bytes, 'x');
  EXPECT_EQ(read("0.ppm " + label + "\n1.ppm b\n").classes[1], label);
  expect_says(says("0.ppm x" + label + "\n1.ppm b\n"), "label of line 1");
  const std::string path = "./" + std::string(limits::list_path_bytes - 7, '/') + "0.ppm";
  EXPECT_EQ(read(path + " c\n1.ppm b\n").unreadable.size(), 1U) << "too long for the system, not for a list";
  expect_says(says("/" + path + " c\n1.ppm b\n"), "line 1 holds no path");
  // Labels of at most 18 digits are numbers.
  const std::string ten = std::string(16, '0') + "10";
  EXPECT_EQ(read("0.ppm " + ten + "\n1.ppm 9\n").classes, (std::vector{"9"s, ten}));
  EXPECT_EQ(read("0.ppm 0" + ten + "\n1.ppm 9\n").classes, (std::vector{"0" + ten, "9"s}));
  // Equal numbers stay in the order of their bytes.
  EXPECT_EQ(read("0.ppm 1\n1.ppm 01\n2.ppm 001\n").classes, (std::vector{"001"s, "01"s, "1"s}));
  SetOptions options;
  options.max_files = 2;
  EXPECT_EQ(read(two, options).classes.size(), 2U);
  EXPECT_THROW(read(two + "2.ppm a\n", options), Error);
  options = {}, options.max_images = 2;
  EXPECT_EQ(read(two, options).train.size(), 2U) << "one for each class";
}

TEST(SetLimits, ClassesOfAnOriginalTask) {
  for (const int n : {300, 301}) {
    DatabaseRows rows;
    for (int i = 0; i < n; ++i)
      for (auto* split : {&rows.train, &rows.val}) split->push_back({std::to_string(i), "/x", "x"});
    Task task;
    take_original_subset(task, rows, {});
    EXPECT_EQ(task.classes.size(), 300U);
    EXPECT_EQ(task.train.size(), 300U);
    EXPECT_EQ(task.notes, n == 300 ? std::vector<std::string>{}
                                   : std::vector{"301 classes, of which the first 300 are learned"s});
  }
}

TEST(SetLimits, TextsOfADatabase) {
  SqliteValue value;
  value.kind = SqliteValue::Kind::text;
  value.size = 4096;
  expect_says(value.why_no_text(), "");
  value.size = 4097;
  expect_says(value.why_no_text(), "is a text of 4097 bytes, at most 4096 are taken");
}

TEST(SetLimits, TasksOfThePaperAreKnownByTheirNamesWhereThereAreNoIds) {
  SetOptions options;
  options.tasks = {"paper53"};
  options.absent_allowed = true;
  const std::vector<TaskName> tasks = {{"deepvp_shell", ""}, {"of somebody else", ""}, {"scenes", ""}};
  EXPECT_EQ(choose_tasks(tasks, options, "place"), (std::vector<std::size_t>{2, 0}));
}

TEST(SetLimits, ImagesOfAClassAreRoundedToTheEvenNeighbour) {
  for (const auto& [total, classes, expected] :
       {std::tuple(5, 2, 2), {7, 2, 4}, {7, 3, 2}, {8, 3, 3}, {9, 3, 3}})
    EXPECT_EQ(images_per_class(total, classes), expected) << total << " / " << classes;
}

TEST(SetLimits, HowManyNamesAMessageLists) {
  for (const std::size_t n : {64, 65}) {
    const std::string message = message_of([&] {
      check_all_readable(std::vector<Unreadable>(n, {"/file", "why"}));
    });
    expect_says(message, fmt::format("{} files cannot be read\n  /file: why\n", n));
    EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), n) << message;
    EXPECT_EQ(message.ends_with("\n  ..."), n > 64);
  }
  EXPECT_EQ(shown(std::string(100, 'x')), std::string(100, 'x'));
  EXPECT_EQ(shown(std::string(101, 'x')), std::string(100, 'x') + "…");
  for (const std::size_t n : {60, 61}) {
    SetOptions options;
    options.tasks = {"absent"};
    const std::string message = message_of([&] {
      choose_tasks(std::vector<TaskName>(n, {"x", ""}), options, "place");
    });
    EXPECT_EQ(std::count(message.begin(), message.end(), 'x'), 60) << message;
    EXPECT_EQ(message.find("(61 in all)") != message.npos, n > 60) << message;
    EXPECT_EQ(message.find("…") != message.npos, n > 60) << message;
  }
}

}  // namespace
}  // namespace reprise::data
