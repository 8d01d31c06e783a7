// Folders as splits: what people call them, and what is refused because it only looks like some.
#include "data/sets/splits.h"

#include <gtest/gtest.h>

#include "data/sets/class_folders.h"
#include "data/sets/find_tasks.h"
#include "engine/base/error.h"
#include "tests/data/temporary_folder.h"

namespace reprise::data {
namespace {

using Names = std::vector<std::string>;

void fill(const TemporaryFolder& dir, const std::string& folder, int images) {
  for (int i = 0; i < images; ++i) dir.image(folder + "/" + std::to_string(i) + ".ppm", i);
}

Task only_task(const std::string& dir) {
  std::vector<Task> tasks = find_tasks(dir, {});
  EXPECT_EQ(tasks.size(), 1u);
  return tasks.at(0);
}

std::string error_of(const TemporaryFolder& dir) {
  return message_of([&] { find_tasks(dir.path(), {}); });
}

// Some folders, each with two classes, as a task; its message where it is refused.
std::string reading_of(const Names& folders) {
  TemporaryFolder dir;
  for (const std::string& folder : folders)
    for (const std::string c : {"a", "b"}) fill(dir, "task/" + folder + "/" + c, 2);
  try {
    const Task task = only_task(dir.path());
    return std::to_string(task.train.size()) + " " + std::to_string(task.val.size()) + " " +
           std::to_string(task.test.size());
  } catch (const Error& e) {
    return e.what();
  }
}

TEST(Splits, SplitsAsPeopleNameThem) {
  const Names train = {"train", "Training", "TRAIN", "train_set", "trainset", "Train Set", "training-set"};
  const Names val = {"val", "Valid", "VALIDATION", "dev", "valid_set", "DevSet", "validation_set"};
  const Names test = {"test", "Testing", "eval", "Test_set", "EVAL", "testset", "testing"};
  for (std::size_t i = 0; i < train.size(); ++i) {
    EXPECT_EQ(reading_of({train[i], val[i], test[i]}), "4 4 4") << train[i];
    EXPECT_EQ(reading_of({train[i], test[i]}), "2 2 4") << train[i];
  }
  for (const std::string name :
       {"", "set", "_set", "trains", "reset", "testament", "eval set s", "train2017", "tes t"})
    EXPECT_EQ(split_named(name), Split::none) << name;
}

TEST(Splits, RefusesSplitsThatItDoesNotUnderstand) {
  const std::vector<std::pair<Names, std::string>> cases = {
      {{"train", "val", "validation"}, "two for one split, val and validation"},
      {{"train", "Training"}, "two for one split, Training and train"},
      {{"train", "test", "Testing", "val"}, "two for one split"},
      {{"val", "test"}, "none to train on"},
      {{"Testing"}, "none to train on"},
      {{"train", "test", "annotations"}, "'annotations'   no split"},
      {{"train", "bus"}, "look like splits"},  // class folders inside: a class would hold images
      {{"train ", "val "}, "'train '        no split"},
      {{"train2017", "val2017"}, "'train2017'     no split"},
      {{"trainA", "trainB", "testA", "testB"}, "look like splits"},
      {{"train_images", "test_images", "extra"}, "look like splits"},
      {{"training data", "evaluation"}, "look like splits"},
      {{"images_train", "images_val", "images_test"}, "look like splits"},
  };
  for (const auto& [folders, part] : cases) {
    const std::string message = reading_of(folders);
    EXPECT_NE(message.find(part), std::string::npos) << message;
    EXPECT_NE(message.find("read as\n  "), std::string::npos) << message;
  }
}

TEST(Splits, HowManyFoldersAMessageLists) {
  for (const std::size_t n : {20, 21}) {
    Names folders = {"train", "Training"};
    while (folders.size() < n) folders.push_back("x" + std::to_string(folders.size()));
    const std::string message = reading_of(folders);
    std::size_t listed = 0;
    for (std::size_t at = 0; (at = message.find("\n  '", at)) != message.npos; ++at) ++listed;
    EXPECT_EQ(listed, 20U) << message;
    EXPECT_EQ(message.find("(21 in all)") != message.npos, n > 20) << message;
    EXPECT_EQ(message.find(" in all)") != message.npos, n > 20) << message;
  }
}

// A capital begins a word only after a small letter.
TEST(Splits, WordsInNamesBeginWithCapitals) {
  for (const std::string c : {"A", "B", "Z"}) {
    EXPECT_EQ(reading_of({c + "Train", c + "Test"}), "6 2 0") << c;
    EXPECT_NE(reading_of({"my" + c + "xTrain", "my" + c + "xTest"}).find("look like splits"),
              std::string::npos)
        << c;
  }
}

TEST(Splits, LooseImagesOfASplit) {
  const std::string refused = "train/ holds images but no class folders";
  TemporaryFolder none, named, broken, beside;
  fill(none, "val/a", 1), none.image("train/picture"), fill(named, "val/a", 1), named.image("train/0.ppm");
  fill(broken, "val/a", 1), broken.write("train/0.jpg", "broken");
  for (const TemporaryFolder* dir : {&none, &named, &broken})
    EXPECT_NE(error_of(*dir).find(refused), std::string::npos) << error_of(*dir);
  for (const std::string split : {"train", "val"})
    for (const std::string c : {"/a", "/b"}) fill(beside, split + c, 2);
  beside.image("train/picture.ppm");
  EXPECT_EQ(only_task(beside.path()).train.size(), 4U);
}

TEST(Splits, AFolderThatIsNotThere) {
  TemporaryFolder dir;
  const auto says = [](const std::string& path) { return message_of([&] { find_tasks(path, {}); }); };
  const std::string absent = dir.path("absent"), long_name = dir.path(std::string(300, 'x'));
  EXPECT_EQ(says(absent), "data: no such folder\n  folder  " + absent);
  EXPECT_EQ(says(long_name), "data: no such folder: File name too long\n  folder  " + long_name);
}

TEST(Splits, ListsAreTextFilesThatNameASplit) {
  TemporaryFolder dir;
  for (int i = 0; i < 4; ++i) dir.image(std::to_string(i) + ".ppm", i);
  dir.write("train.txt", "0.ppm a\n1.ppm b\nno.ppm a\nnot here.ppm b\n");
  dir.write("val.txt", "2.ppm a\n3.ppm b\n");
  for (const std::string other : {"train.csv", "val", "classes.txt", "train"}) dir.write(other, "?");
  const Task task = only_task(dir.path());
  EXPECT_EQ(task.train.size(), 2U);
  EXPECT_EQ(task.val.size(), 2U);
  ASSERT_EQ(task.unreadable.size(), 2U);
  EXPECT_EQ(task.unreadable[0].reason, "No such file or directory");
  EXPECT_TRUE(task.unreadable[1].reason.starts_with(
      "No such file or directory (the last blank divides path and label;"));
}

TEST(Splits, TheTopFolderCanBeNamed) {
  // It holds /dev, which is read as a split beside folders that are none.
  if (!std::filesystem::is_directory("/dev")) GTEST_SKIP() << "no /dev";
  const std::string message = message_of([] { find_folder_tasks("/", {}); });
  EXPECT_NE(message.find("look like splits, but not every one can be read as one\n  folder  /\n"),
            std::string::npos)
      << message;
}

TEST(Splits, NamesOfSplitsAmongClasses) {
  for (const std::string c :
       {"train", "test", "Training", "validation", "test tube", "dev_board", "evaluation"}) {
    TemporaryFolder dir;
    fill(dir, "bus", 2);
    fill(dir, c, 2);
    EXPECT_EQ(only_task(dir.path()).classes.size(), 2u) << c;
  }
  // Tasks and classes whose names only hold such a word.
  TemporaryFolder dir;
  for (const std::string task : {"test_1", "test_2"}) {
    fill(dir, task + "/train station", 2);
    fill(dir, task + "/bus station", 2);
  }
  EXPECT_EQ(find_tasks(dir.path(), {}).size(), 2u);
  // Images without classes in splits are no classes either.
  TemporaryFolder flat;
  for (const std::string split : {"train2017", "val2017"}) fill(flat, split, 2);
  EXPECT_NE(error_of(flat).find("look like splits"), std::string::npos);
}

TEST(Splits, SplitsInsideClassesAreRefused) {
  TemporaryFolder twice;  // as archives unpack
  for (const std::string split : {"training_set", "test_set"})
    for (const std::string c : {"cat", "dog"}) fill(twice, split + "/" + split + "/" + c, 2);
  EXPECT_NE(error_of(twice).find("splits where classes or images were expected"), std::string::npos)
      << error_of(twice);
  TemporaryFolder above;  // the folder above two tasks
  for (const std::string set : {"all/tumor", "all/chest"})
    for (const std::string split : {"Training", "Testing"})
      for (const std::string c : {"ill", "well"}) fill(above, set + "/" + split + "/" + c, 2);
  EXPECT_NE(error_of(above).find("splits where classes or images were expected"), std::string::npos)
      << error_of(above);
  EXPECT_EQ(find_tasks(above.path("all"), {}).size(), 2u);
  TemporaryFolder below;  // splits below the classes
  for (const std::string c : {"cat", "dog"})
    for (const std::string split : {"train", "test"}) fill(below, "pets/" + c + "/" + split, 2);
  EXPECT_NE(error_of(below).find("splits where classes or images were expected"), std::string::npos)
      << error_of(below);
}

TEST(Splits, AClassMayBeCalledTrain) {
  TemporaryFolder vehicles;
  for (const std::string split : {"train", "test"})
    for (const std::string c : {"train", "bus"}) fill(vehicles, split + "/" + c, 2);
  const Task task = only_task(vehicles.path());
  EXPECT_EQ(task.classes, (std::vector<std::string>{"bus", "train"}));
  EXPECT_EQ(task.test.size(), 4u);
}

}  // namespace
}  // namespace reprise::data
