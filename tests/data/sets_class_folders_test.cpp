// Tasks in class folders: layouts, order, what is skipped, what is refused.
#include "data/sets/find_tasks.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "engine/base/error.h"
#include "tests/data/temporary_folder.h"

namespace reprise::data {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

Names relatives(const std::vector<Sample>& samples) {
  Names names;
  for (const Sample& s : samples) names.push_back(s.relative);
  return names;
}

Names all_of(const Task& task) {
  Names names = relatives(task.train);
  for (const auto* split : {&task.val, &task.test, &task.spare})
    for (const Sample& s : *split) names.push_back(s.relative);
  std::sort(names.begin(), names.end());
  return names;
}

Task only_task(const std::string& dir, const SetOptions& options = {}) {
  std::vector<Task> tasks = find_tasks(dir, options);
  EXPECT_EQ(tasks.size(), 1u);
  return tasks.at(0);
}

void fill(const TemporaryFolder& dir, const std::string& folder, int images) {
  for (int i = 0; i < images; ++i) dir.image(folder + "/" + std::to_string(i) + ".ppm", i);
}

bool mentions(const Names& notes, const std::string& text) {
  return std::any_of(notes.begin(), notes.end(), [&](const auto& n) { return n.find(text) != n.npos; });
}

std::string error_of(const TemporaryFolder& dir, const SetOptions& options = {}) {
  return message_of([&] { find_tasks(dir.path(), options); });
}

TEST(ClassFolders, OneTaskOfClasses) {
  TemporaryFolder dir;
  fill(dir, "animals/cat", 4);
  fill(dir, "animals/dog", 3);
  for (const std::string& path : {dir.path("animals"), dir.path("animals/"), dir.path("animals/./cat/..")}) {
    const Task task = only_task(path);
    EXPECT_EQ(task.name, "animals");
    EXPECT_EQ(task.classes, (Names{"cat", "dog"}));
    EXPECT_TRUE(task.val_from_train);
    EXPECT_EQ(task.train.size(), 5u);
    EXPECT_EQ(task.val.size(), 2u);
    EXPECT_TRUE(task.test.empty());
    EXPECT_TRUE(task.unreadable.empty());
    for (const Sample& s : task.train) {
      EXPECT_EQ(s.label, s.relative.starts_with("dog/") ? 1 : 0);
      EXPECT_TRUE(fs::exists(s.path)) << s.path;
    }
  }
}

TEST(ClassFolders, OneTaskOfSplits) {
  TemporaryFolder dir;
  for (const std::string val : {"val", "validation"}) {
    fill(dir, val + "_/train/a", 3);
    fill(dir, val + "_/train/b", 2);
    fill(dir, val + "_/" + val + "/b", 2);
    fill(dir, val + "_/test/a", 1);
    const Task task = only_task(dir.path(val + "_"));
    EXPECT_EQ(task.name, val + "_");
    EXPECT_FALSE(task.val_from_train);
    EXPECT_EQ(relatives(task.train), (Names{"a/0.ppm", "a/1.ppm", "a/2.ppm", "b/0.ppm", "b/1.ppm"}));
    EXPECT_EQ(relatives(task.val), (Names{"b/0.ppm", "b/1.ppm"}));
    EXPECT_EQ(task.val[0].label, 1);
    EXPECT_NE(task.val[0].path.find("/" + val + "/b/0.ppm"), std::string::npos);
    EXPECT_EQ(relatives(task.test), (Names{"a/0.ppm"}));
    EXPECT_TRUE(mentions(task.notes, "class 'a' has no image in val"));
  }
}

TEST(ClassFolders, ATestSplitWithoutVal) {
  TemporaryFolder dir;
  for (const std::string c : {"a", "b"}) {
    fill(dir, "train/" + c, 4);
    fill(dir, "test/" + c, 2);
    dir.folder("val/" + c);
  }
  const Task task = only_task(dir.path());
  EXPECT_TRUE(task.val_from_train);
  EXPECT_EQ(task.train.size(), 6u);
  EXPECT_EQ(task.val.size(), 2u);
  EXPECT_EQ(task.test.size(), 4u);
  EXPECT_TRUE(mentions(task.notes, "val split holds no images"));
}

TEST(ClassFolders, SeveralTasks) {
  TemporaryFolder dir;
  fill(dir, "zoo/x", 2);
  fill(dir, "zoo/y", 2);
  fill(dir, "Digits/train/0", 2);
  fill(dir, "Digits/train/1", 2);
  fill(dir, "Digits/val/1", 1);
  dir.write("README.txt", "beside the tasks");
  const std::vector<Task> tasks = find_tasks(dir.path(), {});
  ASSERT_EQ(tasks.size(), 2u);
  EXPECT_EQ(tasks[0].name, "Digits");
  EXPECT_FALSE(tasks[0].val_from_train);
  EXPECT_EQ(tasks[1].name, "zoo");
  EXPECT_EQ(tasks[1].classes, (Names{"x", "y"}));

  SetOptions options;
  options.tasks = {"zoo"};
  EXPECT_EQ(only_task(dir.path(), options).name, "zoo");
  options.tasks = {"zoo", "moon"};
  const std::string message = error_of(dir, options);
  EXPECT_NE(message.find("no task 'moon'"), std::string::npos) << message;
  EXPECT_NE(message.find("Digits, zoo"), std::string::npos) << message;
}

TEST(ClassFolders, AFolderTrainWithImagesIsAClass) {
  TemporaryFolder dir;
  fill(dir, "bus", 2);
  fill(dir, "train", 2);
  EXPECT_EQ(only_task(dir.path()).classes, (Names{"bus", "train"}));
  TemporaryFolder flat;
  fill(flat, "train", 2);
  fill(flat, "val", 2);
  EXPECT_NE(error_of(flat).find("train/ holds images but no class folders"), std::string::npos);
}

TEST(ClassFolders, SortsByBytes) {
  TemporaryFolder dir;
  const Names classes = {"10", "9", "A b", "A_b", "B", "a", "z", "\xC3\x84"};  // Ä sorts after z, by bytes
  for (const std::string& c : classes) fill(dir, c, 1);
  for (const std::string name : {"b.ppm", "B.ppm", "10.ppm", "9.ppm", "\xC3\xA4.ppm", "b/0.ppm", "b-.ppm"})
    dir.image("a/" + name);
  const Task task = only_task(dir.path());
  EXPECT_EQ(task.classes, classes);
  Names of_a;
  for (const auto* split : {&task.train, &task.val}) {
    Names here;
    for (const Sample& s : *split)
      if (s.label == 5) here.push_back(s.relative);
    EXPECT_TRUE(std::is_sorted(here.begin(), here.end()));
    EXPECT_TRUE(std::is_sorted(split->begin(), split->end(),
                               [](const Sample& a, const Sample& b) { return a.label < b.label; }));
    of_a.insert(of_a.end(), here.begin(), here.end());
  }
  std::sort(of_a.begin(), of_a.end());
  EXPECT_EQ(of_a, (Names{"a/0.ppm", "a/10.ppm", "a/9.ppm", "a/B.ppm", "a/b-.ppm", "a/b.ppm", "a/b/0.ppm",
                         "a/\xC3\xA4.ppm"}));
}

TEST(ClassFolders, SkipsWhatSystemsLeaveThere) {
  TemporaryFolder dir;
  fill(dir, "a", 1);
  fill(dir, "b", 1);
  fill(dir, ".git", 1);
  fill(dir, "__MACOSX/a", 1);
  fill(dir, "a/.thumbnails", 1);
  dir.write("a/.DS_Store", "x");
  dir.write("a/Thumbs.db", "x");
  dir.write("b/thumbs.db", "x");
  dir.write("b/__MACOSX/._0.ppm", "x");
  const Names folders = {"@eaDir",
                         "#recycle",
                         "@Recycle",
                         "lost+found",
                         "$RECYCLE.BIN",
                         ".AppleDouble",
                         "System Volume Information",
                         "Network Trash Folder"};
  const Names files = {"desktop.ini",
                       "Desktop.ini",
                       "ehthumbs.db",
                       "0.ppm:Zone.Identifier",
                       "._0.ppm",
                       "Icon\r",
                       "0.ppm\xEF\x80\xBAZone.Identifier"};
  for (const std::string& folder : folders) {
    fill(dir, folder, 2);
    fill(dir, "b/" + folder + "/0.ppm", 1);
  }
  for (const std::string& file : files) dir.image("a/" + file);
  const Task task = only_task(dir.path());
  EXPECT_EQ(task.classes, (Names{"a", "b"}));
  EXPECT_EQ(all_of(task), (Names{"a/0.ppm", "b/0.ppm"}));
  EXPECT_TRUE(task.unreadable.empty());
  EXPECT_EQ(task.notes.size(), 2u);  // two classes of one image
  EXPECT_EQ(task.skipped.size(), 7 + 2 * folders.size() + files.size());
  for (const std::string below : {"@eaDir", "a/desktop.ini", "b/@eaDir", ".git", "a/Icon\r"})
    EXPECT_TRUE(std::ranges::count(task.skipped, dir.path(below)) == 1) << below;
}

TEST(ClassFolders, WhatIsSkippedBesideTasksAndSplitsIsListedToo) {
  TemporaryFolder dir;
  for (const std::string c : {"train/a", "train/b", "Test/a"}) fill(dir, "one/" + c, 2);
  for (const std::string c : {"a", "b"}) fill(dir, "two/" + c, 2);
  dir.folder("@eaDir");
  dir.folder("one/@eaDir");
  dir.write("one/train/Thumbs.db", "x");
  dir.write("one/Test/a/.DS_Store", "x");
  const auto tasks = find_tasks(dir.path(), {});
  ASSERT_EQ(tasks.size(), 2u);
  EXPECT_EQ(tasks[0].test.size(), 2u);
  Names skipped = tasks[0].skipped;
  std::sort(skipped.begin(), skipped.end());
  EXPECT_EQ(skipped, (Names{dir.path("@eaDir"), dir.path("one/@eaDir"), dir.path("one/Test/a/.DS_Store"),
                            dir.path("one/train/Thumbs.db")}));
  EXPECT_TRUE(tasks[1].skipped.empty());
}

const std::string composed = "\xC3\x84pfel", decomposed = "A\xCC\x88pfel";

TEST(ClassFolders, NamesThatDifferInTheirUnicodeFormAreShownByteByByte) {
  TemporaryFolder dir;
  for (const auto& [split, name] : {std::pair("train", composed), {"val", decomposed}}) {
    fill(dir, std::string("obst/") + split + "/" + name, 2);
    fill(dir, std::string("obst/") + split + "/Birnen", 2);
  }
  const std::string message = error_of(dir);
  for (const char* part : {"is not in train/", "(\\xC3\\x84pfel)", "(A\\xCC\\x88pfel)", "NFC, NFD"})
    EXPECT_NE(message.find(part), std::string::npos) << part << "\n" << message;
  SetOptions options;
  options.tasks = {"o\xCC\x88l"};
  fill(dir, "\xC3\xB6l/a", 2);
  EXPECT_NE(error_of(dir, options).find("(\\xC3\\xB6l)"), std::string::npos) << error_of(dir, options);
  // Two classes that look alike.
  TemporaryFolder twins;
  fill(twins, composed, 2);
  fill(twins, decomposed, 2);
  EXPECT_TRUE(mentions(only_task(twins.path()).notes, "two classes\n"));
}

TEST(ClassFolders, RefusesTaskNamesThatCannotNameAFile) {
  for (const auto& [name, why] : {std::pair(std::string(244, 'z'), "244 bytes, at most 200"),
                                  {std::string(70, '%'), "210 bytes, at most 200"},
                                  {std::string("caf\xE9"), "not printable UTF-8"},
                                  {std::string("a\nb"), "not printable UTF-8"}}) {
    TemporaryFolder dir;
    for (const std::string& task : {name, std::string("good")})
      for (const std::string c : {"/a", "/b"}) fill(dir, task + c, 2);
    EXPECT_NE(error_of(dir).find(why), std::string::npos) << error_of(dir);
    EXPECT_NE(error_of(dir).find("Rename the folder"), std::string::npos);
    const std::string alone = dir.path(name);
    EXPECT_NE(message_of([&] { find_tasks(alone, {}); }).find(why), std::string::npos) << why;
    SetOptions options;  // nobody reads it
    options.tasks = {"good"};
    EXPECT_EQ(only_task(dir.path(), options).name, "good");
  }
  TemporaryFolder hidden;
  for (const std::string c : {"a", "b"}) fill(hidden, ".hidden/" + c, 2);
  EXPECT_EQ(only_task(hidden.path(".hidden")).name, ".hidden");
  EXPECT_NE(message_of([&] { find_tasks(std::string(300, 'x'), {}); }).find("File name too long"),
            std::string::npos);
}

TEST(ClassFolders, KnowsFilesByContent) {
  TemporaryFolder dir;
  dir.image("a/UPPER.JPG");
  dir.image("a/no_extension");
  dir.image("a/deep/deeper/x.txt");
  fill(dir, "b", 2);
  dir.write("b/pointer.jpg", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n");
  dir.write("b/empty.png", "");
  dir.write("b/labels.csv", "file,label\n");
  dir.write("b/page.jpg", "<!DOCTYPE html><html>404</html>");
  fs::create_symlink("nowhere", dir.path("b/broken.ppm"));
  const Task task = only_task(dir.path());
  EXPECT_EQ(all_of(task),
            (Names{"a/UPPER.JPG", "a/deep/deeper/x.txt", "a/no_extension", "b/0.ppm", "b/1.ppm"}));
  ASSERT_EQ(task.unreadable.size(), 5u);
  const auto reason = [&](std::size_t i) { return task.unreadable[i].reason; };
  EXPECT_EQ(task.unreadable[0].path, dir.path("b/broken.ppm"));
  EXPECT_NE(reason(0).find("No such file"), std::string::npos) << reason(0);
  EXPECT_NE(reason(1).find("empty"), std::string::npos) << reason(1);
  EXPECT_NE(reason(2).find("text"), std::string::npos) << reason(2);
  EXPECT_NE(reason(3).find("web page"), std::string::npos) << reason(3);
  EXPECT_NE(reason(4).find("Git LFS pointer"), std::string::npos) << reason(4);
}

TEST(ClassFolders, APipeAmongTheImagesHangsNobody) {
  TemporaryFolder dir;
  fill(dir, "a", 2);
  fill(dir, "b", 2);
  ASSERT_EQ(::mkfifo(dir.path("a/pipe.png").c_str(), 0600), 0);
  const Task task = only_task(dir.path());
  ASSERT_EQ(task.unreadable.size(), 1u);
  EXPECT_EQ(task.unreadable[0].reason, "not a regular file");
}

TEST(ClassFolders, LinksAreFollowedOnceAndNeverInCircles) {
  TemporaryFolder dir;
  fill(dir, "set/a", 2);
  fill(dir, "set/b", 2);
  fill(dir, "elsewhere", 2);
  fs::create_symlink("..", dir.path("set/a/loop"));
  fs::create_symlink("/", dir.path("set/a/root"));
  fs::create_symlink("../b", dir.path("set/a/neighbour"));
  fs::create_symlink("../../elsewhere", dir.path("set/a/more"));
  fs::create_symlink("../../elsewhere", dir.path("set/b/again"));
  fs::create_symlink("../a/0.ppm", dir.path("set/b/link.ppm"));
  const Task task = only_task(dir.path("set"));
  EXPECT_EQ(all_of(task), (Names{"a/0.ppm", "a/1.ppm", "a/more/0.ppm", "a/more/1.ppm", "b/0.ppm", "b/1.ppm",
                                 "b/link.ppm"}));
  EXPECT_TRUE(task.unreadable.empty());
  EXPECT_EQ(task.notes.size(), 4u);
  EXPECT_TRUE(mentions(task.notes, "set/a/loop leads back"));

  fs::create_symlink("a", dir.path("set/c"));
  EXPECT_NE(message_of([&] { find_tasks(dir.path("set"), {}); }).find("two classes are the same folder"),
            std::string::npos);
}

TEST(ClassFolders, RefusesWhatIsNoSet) {
  TemporaryFolder dir;
  EXPECT_NE(error_of(dir).find("no images found"), std::string::npos);
  EXPECT_NE(message_of([&] { find_tasks(dir.path("absent"), {}); }).find("no such folder"),
            std::string::npos);
  dir.image("one.ppm");
  EXPECT_NE(
      message_of([&] { find_tasks(dir.path("one.ppm"), {}); }).find("expected a folder or a list of images"),
      std::string::npos);
  EXPECT_NE(error_of(dir).find("images but no class folders"), std::string::npos);
  dir.folder("set/a/inner");
  EXPECT_NE(error_of(dir).find("no images found"), std::string::npos);
  fill(dir, "set/only", 3);
  fs::remove_all(dir.path("set/a"));
  const std::string one = error_of(dir);
  EXPECT_NE(one.find("at least two classes, found only"), std::string::npos) << one;
}

TEST(ClassFolders, RefusesSplitsThatDoNotFit) {
  TemporaryFolder dir;
  fill(dir, "val/a", 1);
  fill(dir, "val/b", 1);
  EXPECT_NE(error_of(dir).find("splits, but none to train on"), std::string::npos);
  fill(dir, "train/a", 1);
  fill(dir, "train/b", 1);
  EXPECT_NO_THROW(find_tasks(dir.path(), {}));
  dir.folder("test/ghost");
  EXPECT_NO_THROW(find_tasks(dir.path(), {}));
  fill(dir, "test/ghost", 1);
  const std::string ghost = error_of(dir);
  EXPECT_NE(ghost.find("class 'ghost' has images here but is not in train/"), std::string::npos) << ghost;
  fs::remove_all(dir.path("test"));
  dir.folder("validation");
  EXPECT_NE(error_of(dir).find("two for one split, val and validation"), std::string::npos);
}

TEST(ClassFolders, AnEmptyClassStopsOrIsDropped) {
  TemporaryFolder dir;
  fill(dir, "a", 2);
  dir.folder("b/inner");
  fill(dir, "c", 2);
  const std::string message = error_of(dir);
  EXPECT_NE(message.find("class 'b' has no images"), std::string::npos) << message;
  SetOptions options;
  options.skip_bad = true;
  const Task task = only_task(dir.path(), options);
  EXPECT_EQ(task.classes, (Names{"a", "c"}));
  EXPECT_EQ(task.train.back().label, 1);
  EXPECT_TRUE(mentions(task.notes, "class 'b' is dropped"));
  fs::remove_all(dir.path("c"));
  EXPECT_NE(error_of(dir, options).find("at least two classes"), std::string::npos);
}

TEST(ClassFolders, AClassWithoutReadableImages) {
  TemporaryFolder dir;
  fill(dir, "a", 2);
  fill(dir, "b", 2);
  dir.write("lfs/x.jpg", "version https://git-lfs.github.com/spec/v1\n");
  const Task listed = only_task(dir.path());
  EXPECT_EQ(listed.classes, (Names{"a", "b", "lfs"}));
  EXPECT_EQ(listed.unreadable.size(), 1u);
  SetOptions options;
  options.skip_bad = true;
  const Task task = only_task(dir.path(), options);
  EXPECT_EQ(task.classes, (Names{"a", "b"}));
  EXPECT_EQ(task.unreadable.size(), 1u);
  EXPECT_TRUE(mentions(task.notes, "class 'lfs' is dropped"));
}

TEST(ClassFolders, RefusesClassNamesThatAreNoText) {
  for (const std::string name : {"tab\there", "latin-\xE4", "cut-\xC3", "\x7F", "\xC2\x9B", "\xE2\x80\xAE"}) {
    TemporaryFolder dir;
    fill(dir, "a", 1);
    fill(dir, name, 1);
    EXPECT_NE(error_of(dir).find("not printable UTF-8"), std::string::npos) << name;
  }
}

TEST(ClassFolders, RefusesOptionsOutOfRange) {
  TemporaryFolder dir;
  fill(dir, "a", 4);
  fill(dir, "b", 4);
  for (const double fraction : {0.0, 1.0, -0.1, std::numeric_limits<double>::quiet_NaN()}) {
    SetOptions options;
    options.val_fraction = fraction;
    EXPECT_NE(error_of(dir, options).find("validation fraction"), std::string::npos);
  }
  SetOptions options;
  options.max_images = -1;
  EXPECT_NE(error_of(dir, options).find("at least 0"), std::string::npos);
  options.max_images = 1;
  EXPECT_NE(error_of(dir, options).find("too few for 2 classes"), std::string::npos);
  options.max_images = 0;
  options.max_files = 7;
  EXPECT_NE(error_of(dir, options).find("more than 7 files"), std::string::npos);
  options.max_files = 8;
  EXPECT_EQ(all_of(only_task(dir.path(), options)).size(), 8u);
}

TEST(ClassFolders, SaysWhereImagesAreNotUsedOrReadOtherwise) {
  TemporaryFolder dir;
  fill(dir, "a", 2);
  fill(dir, "b/inner", 2);
  dir.image("cover.ppm");
  const Task task = only_task(dir.path());
  EXPECT_EQ(task.classes, (Names{"a", "b"}));
  EXPECT_TRUE(mentions(task.notes, "images beside the class folders"));
  EXPECT_TRUE(mentions(task.notes, "read as one task, because"));
}

}  // namespace
}  // namespace reprise::data
