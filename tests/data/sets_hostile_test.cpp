// Untrusted databases and lists: every bad row has its message, and nothing crashes.
#include <gtest/gtest.h>

#include <algorithm>

#include "data/loader/check_readable.h"
#include "data/sets/find_tasks.h"
#include "engine/base/error.h"
#include "tests/data/database_files.h"

namespace reprise::data {
namespace {

TEST(Lists, OneFile) {
  TemporaryFolder dir;
  for (int i = 0; i < 12; ++i) dir.image("images/a picture " + std::to_string(i) + ".ppm", i);
  std::string list = "\xEF\xBB\xBF# path label\r\n\r\n";
  for (int i = 0; i < 12; ++i)
    list += "images/a picture " + std::to_string(i) + ".ppm" + (i % 2 != 0 ? "  10\r\n" : "\t9 \n");
  dir.write("numbers.txt", list);
  SetOptions options;
  options.val_fraction = 0.34;
  const Task task = find_tasks(dir.path("numbers.txt"), options).at(0);
  EXPECT_EQ(task.name, "numbers");
  EXPECT_EQ(task.classes, (std::vector<std::string>{"9", "10"}));  // sorted as numbers, not as bytes
  EXPECT_EQ(task.train.size(), 8U);
  EXPECT_EQ(task.val.size(), 4U);
  EXPECT_TRUE(task.val_from_train);
  EXPECT_EQ(task.train[0].path, dir.path("images/") + task.train[0].relative.substr(9));
  EXPECT_TRUE(task.train[0].relative.starts_with("9/images/a picture "));
  options.tasks = {"letters"};
  EXPECT_NE(message_of([&] { find_tasks(dir.path("numbers.txt"), options); }).find("no task 'letters'"),
            std::string::npos);
}

TEST(Lists, AFolderOfThem) {
  TemporaryFolder dir;
  for (int i = 0; i < 8; ++i) dir.image("set/" + std::to_string(i) + ".ppm", i);
  dir.image("else.ppm");
  dir.write("set/train.txt", "3.ppm b\n2.ppm a\n0.ppm b\n1.ppm a\n" + dir.path("else.ppm") + " a");
  dir.write("set/val.txt", "4.ppm b\n5.ppm a\n");
  dir.write("set/test.txt", "6.ppm b\nabsent.ppm b\n");
  const Task task = find_tasks(dir.path("set"), {}).at(0);
  EXPECT_EQ(task.name, "set");
  EXPECT_EQ(task.classes, (std::vector<std::string>{"a", "b"}));
  ASSERT_EQ(task.train.size(), 5U);
  EXPECT_EQ(task.train[0].path, dir.path("else.ppm"));  // sorted like class folders
  EXPECT_EQ(task.train[4].relative, "b/3.ppm");
  EXPECT_EQ(task.val.size(), 2U);
  EXPECT_EQ(task.test.size(), 1U);
  ASSERT_EQ(task.unreadable.size(), 1U);
  EXPECT_EQ(task.unreadable[0].path, dir.path("set/absent.ppm"));
  dir.write("set/val.txt", "4.ppm c\n");
  EXPECT_NE(message_of([&] { find_tasks(dir.path("set"), {}); }).find("line 1: class 'c' is not in train"),
            std::string::npos);
}

TEST(Lists, BadFilesAreAsIfTheyWereNotListed) {
  TemporaryFolder dir;
  std::string list;
  for (int i = 0; i < 20; ++i) {
    dir.image(std::to_string(i) + ".ppm", i);
    list += dir.path(std::to_string(i) + ".ppm") + (i % 2 == 0 ? " a\n" : " b\n");
  }
  dir.write("good/list.txt", list);
  dir.write("bad/list.txt", dir.path("absent.ppm") + " a\n" + list);
  SetOptions options;
  options.skip_bad = true;
  const Task good = find_tasks(dir.path("good/list.txt"), {}).at(0),
             bad = find_tasks(dir.path("bad/list.txt"), options).at(0);
  ASSERT_EQ(bad.unreadable.size(), 1U);
  EXPECT_EQ(bad.unreadable[0].path, dir.path("absent.ppm"));
  for (const auto part : {&Task::train, &Task::val}) {
    ASSERT_EQ((bad.*part).size(), (good.*part).size());
    for (std::size_t i = 0; i < (good.*part).size(); ++i) {
      EXPECT_EQ((bad.*part)[i].path, (good.*part)[i].path);
      EXPECT_EQ((bad.*part)[i].label, (good.*part)[i].label);
    }
  }
}

TEST(Lists, TabsDivideWhereThereAreAny) {
  TemporaryFolder dir;
  for (int i = 0; i < 4; ++i) dir.image("my pics/" + std::to_string(i) + ".ppm", i);
  dir.write("list.txt",
            "my pics/0.ppm\tgolden cat\n"
            "my pics/1.ppm \t golden dog \t\r\n"
            "my pics/2.ppm\t\tgolden cat\n"  // columns set in line
            "my pics/3.ppm other\n");        // no tab: the last blank
  SetOptions options;
  options.val_fraction = 0.01;
  const Task task = find_tasks(dir.path("list.txt"), options).at(0);
  EXPECT_EQ(task.classes, (std::vector<std::string>{"golden cat", "golden dog", "other"}));
  EXPECT_EQ(task.train.size() + task.val.size(), 4U);
  EXPECT_TRUE(task.unreadable.empty());
  for (const std::string& note : task.notes) EXPECT_EQ(note.find("columns"), std::string::npos) << note;
  dir.write("list.txt", "my pics/0.ppm\t17\t0.5\tgolden cat\nmy pics/1.ppm\t18\t0.5\tgolden dog\n");
  const Task wide = find_tasks(dir.path("list.txt"), {}).at(0);
  EXPECT_EQ(wide.classes, (std::vector<std::string>{"golden cat", "golden dog"}));
  EXPECT_NE(wide.notes.at(0).find("columns between the path and the label are not used"), std::string::npos);
  // A list that cannot be meant so.
  dir.write("list.txt", "my pics/0.ppm golden cat\nmy pics/1.ppm golden dog\n");
  const std::string message = message_of([&] { find_tasks(dir.path("list.txt"), {}); });
  EXPECT_NE(message.find("not one of its 2 images can be read"), std::string::npos) << message;
  EXPECT_NE(message.find("a label of several words needs a tab"), std::string::npos) << message;
}

TEST(Lists, SplitsAsPeopleNameThem) {
  TemporaryFolder dir;
  for (int i = 0; i < 6; ++i) dir.image("set/" + std::to_string(i) + ".ppm", i);
  dir.write("set/Training.TXT", "0.ppm a\n1.ppm b\n");
  dir.write("set/valid.txt", "2.ppm a\n3.ppm b\n");
  dir.write("set/test_set.txt", "4.ppm a\n5.ppm b\n");
  dir.write("set/classes.txt", "a\nb\n");
  const Task task = find_tasks(dir.path("set"), {}).at(0);
  EXPECT_EQ(task.train.size(), 2U);
  EXPECT_EQ(task.val.size(), 2U);
  EXPECT_EQ(task.test.size(), 2U);
  dir.write("set/dev.txt", "2.ppm a\n");
  const std::string message = message_of([&] { find_tasks(dir.path("set"), {}); });
  EXPECT_NE(message.find("two for one split, dev.txt and valid.txt"), std::string::npos) << message;
}

TEST(Lists, NamesInTheDisksUnicodeForm) {
  TemporaryFolder dir;
  dir.image("pics/A\xCC\x88.ppm");
  dir.image("b.ppm");
  dir.write("list.txt", "pics/\xC3\x84.ppm a\nb.ppm b\n");
  const Task task = find_tasks(dir.path("list.txt"), {}).at(0);
  ASSERT_EQ(task.unreadable.size(), 1U);
  EXPECT_NE(task.unreadable[0].reason.find("(A\\xCC\\x88.ppm)"), std::string::npos)
      << task.unreadable[0].reason;
  dir.write("set/train.txt", "../b.ppm \xC3\x84\n../pics/A\xCC\x88.ppm b\n");
  dir.write("set/val.txt", "../b.ppm A\xCC\x88\n");
  const std::string message = message_of([&] { find_tasks(dir.path("set"), {}); });
  EXPECT_NE(message.find("(\\xC3\\x84)"), std::string::npos) << message;
}

TEST(Lists, StrangeLines) {
  TemporaryFolder dir;
  dir.image("a.ppm");
  dir.image("b.ppm");
  const auto message = [&](const std::string& text) {
    dir.write("list.txt", text);
    return message_of([&] { find_tasks(dir.path("list.txt"), {}); });
  };
  const auto has = [](const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  has(message(""), "names no image");
  has(message(std::string("\xFF\xFE"
                          "a\0 \0b\0",
                          8)),
      "the list is UTF-16");
  has(message("\n# a.ppm 1\n"), "names no image");
  has(message("a.ppm 1\nb.ppm\n"), "line 2 has no label");
  has(message("a.ppm 1\nb.ppm \x01\n"), "the label of line 2 is not printable");
  has(message("a.ppm 1\nb.ppm \xFF\n"), "the label of line 2 is not printable");
  has(message("a.ppm 1\nb.ppm " + std::string(300, 'x')), "the label of line 2");
  has(message(std::string("a.ppm 1\nb\0.ppm 2\n", 18)), "line 2 holds no path");
  has(message(std::string(10000, 'x') + " 1\n"), "line 1 holds no path");
  has(message("a.ppm 1\nb.ppm 2\na.ppm 2\n"), "line 3 lists the image of line 1 again");
  has(message("a.ppm 1\nb.ppm 1\n"), "at least two classes");
  has(message(std::string(100, '\0')), "line 1 has no label");
  SetOptions options;
  options.max_files = 1;
  dir.write("list.txt", "a.ppm 1\nb.ppm 2\n");
  has(message_of([&] { find_tasks(dir.path("list.txt"), options); }), "more than 1 images");
  dir.write("list.txt", "a.ppm 1\nb.ppm 2\nlist.txt 1\n/dev/zero 2\n");
  const Task task = find_tasks(dir.path("list.txt"), {}).at(0);
  ASSERT_EQ(task.unreadable.size(), 2U);
  has(task.unreadable[0].reason, "text");
  has(task.unreadable[1].reason, "not a regular file");
}

#ifdef REPRISE_WITH_SQLITE

using testing::run_sql, testing::skill_tables, testing::SkillRoot;

// Two good classes of dataset 1: four training images and two validation images.
const std::string good_rows =
    "INSERT INTO datasets VALUES (1, 'animals', 1);"
    "INSERT INTO files VALUES ('/', 'a.ppm', 1, 1, 0, 0), ('/', 'b.ppm', 2, 1, 0, 0), ('/', 'c.ppm', 1, 1, "
    "0, 0),"
    "('/', 'd.ppm', 2, 1, 0, 0), ('/', 'e.ppm', 1, 1, 0, 1), ('/', 'f.ppm', 2, 1, 0, 1);";

void expect_message(const std::string& sql, const std::string& part, const SetOptions& options = {}) {
  const SkillRoot root(sql);
  const std::string message = message_of([&] { find_tasks(root.path(), options); });
  EXPECT_NE(message.find(part), std::string::npos) << sql << "\n" << message;
}

TEST(HostileDatabase, Structure) {
  expect_message("CREATE TABLE x(y)", "no table 'datasets'");
  expect_message("CREATE TABLE datasets(dataset_id, dataset_name, good)", "no table 'files'");
  expect_message(skill_tables + "DROP TABLE files; CREATE VIEW files AS SELECT 1 AS class_id",
                 "'files' of the database is not an ordinary table");
  expect_message(skill_tables + "DROP TABLE files; CREATE VIRTUAL TABLE files USING fts5(path, filename)",
                 "'files' of the database is not an ordinary table");
  expect_message(skill_tables, "no good data set");
  expect_message(skill_tables + good_rows + "ALTER TABLE files DROP COLUMN problem",
                 "no such column: problem");
  expect_message(skill_tables + good_rows + "ALTER TABLE files DROP COLUMN \"set\"", "no such column: set");
  expect_message(skill_tables + good_rows + "INSERT INTO datasets VALUES (1, 'b', 1)", "have the id 1");
  expect_message(skill_tables + good_rows + "INSERT INTO datasets VALUES (2, 'animals', 1)",
                 "have the name 'animals'");
  const SkillRoot no_folder(skill_tables + good_rows);
  std::filesystem::remove(no_folder.dir.path("original_images"));
  EXPECT_NE(message_of([&] { find_tasks(no_folder.path(), {}); }).find("no folder of images"),
            std::string::npos);
}

TEST(HostileDatabase, BytesThatAreNoDatabase) {
  TemporaryFolder dir;
  dir.folder("original_images");
  const std::string name = "rolling_releases/database_2.sqlite";
  dir.write(name, "");
  EXPECT_NE(message_of([&] { find_tasks(dir.path(), {}); }).find("no table"), std::string::npos);
  dir.write(name, std::string(5000, 'x'));
  EXPECT_NE(message_of([&] { find_tasks(dir.path(), {}); }).find("not a database"), std::string::npos);
  // Any byte of a good database changed, or any truncation, gives an Error or tasks, nothing else.
  const SkillRoot root(skill_tables + good_rows);
  const std::string bytes = testing::read_text(root.database());
  int refused = 0;
  for (std::size_t at = 0; at < bytes.size(); at += at < 200 ? 1 : 37) {
    std::string spoilt = bytes;
    spoilt[at] = static_cast<char>(spoilt[at] ^ 0xFF);
    for (const std::string& text : {spoilt, bytes.substr(0, at)}) {
      dir.write(name, text);
      try {
        find_tasks(dir.path(), {});
      } catch (const Error& e) {
        EXPECT_STRNE(e.what(), "");
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 100);
}

TEST(HostileDatabase, EachStrangeRowHasItsMessage) {
  const std::vector<std::pair<std::string, std::string>> strange = {
      {"NULL, 'x.ppm', 1", "its path is NULL"},
      {"'/', NULL, 1", "its path is NULL"},
      {"7, 'x.ppm', 1", "its path is a number"},
      {"'/', x'00FF', 1", "its path is a blob of 2 bytes"},
      {"'/', 'x.ppm', NULL", "class_id is no whole number from 0: NULL"},
      {"'/', 'x.ppm', -1", "class_id is no whole number from 0: -1"},
      {"'/', 'x.ppm', 1.5", "class_id is no whole number from 0"},
      {"'/', 'x.ppm', 'cat'", "class_id is no whole number from 0: 'cat'"},
      {"'/', 'x.ppm', x'31'", "class_id is no whole number from 0"},
      {"'/', '../../../etc/passwd', 1", "leads upward"},
      {"'/../', 'x.ppm', 1", "leads upward"},
      {"'/..', '', 1", "leads upward"},
      {"'/', '', 1", "names no file"},
      {"'', '', 1", "names no file"},
      {"'/', replace(hex(zeroblob(5000)), '0', 'x'), 1", "is a text of 10000 bytes"},
      {"'/', CAST(x'610062' AS TEXT), 1", "holds a zero byte"},
  };
  std::string rows;
  for (const auto& [values, why] : strange) rows += "INSERT INTO files VALUES (" + values + ", 1, 0, 0);";
  const SkillRoot root(skill_tables + good_rows + rows);
  for (const bool skip : {false, true}) {
    SetOptions options;
    options.skip_bad = skip;
    const Task task = find_tasks(root.path(), options).at(0);
    ASSERT_EQ(task.unreadable.size(), strange.size());
    for (std::size_t i = 0; i < strange.size(); ++i) {
      EXPECT_NE(task.unreadable[i].reason.find(strange[i].second), std::string::npos)
          << strange[i].first << "\n"
          << task.unreadable[i].reason;
      EXPECT_EQ(task.unreadable[i].path,
                root.database() + ", files of dataset 1, set 0, row " + std::to_string(i + 5));
    }
    EXPECT_EQ(task.train.size(), 4U);
    EXPECT_EQ(task.classes, (std::vector<std::string>{"1", "2"}));
  }
}

TEST(HostileDatabase, ClassIdsAsText) {
  const SkillRoot root(skill_tables + good_rows + "UPDATE files SET class_id = CAST(class_id AS TEXT)");
  EXPECT_EQ(find_tasks(root.path(), {}).at(0).classes, (std::vector<std::string>{"1", "2"}));
}

TEST(HostileDatabase, AValueTooLargeForMemory) {
  expect_message(skill_tables + good_rows + "INSERT INTO files VALUES ('/', zeroblob(70000000), 1, 1, 0, 0)",
                 "string or blob too big");
}

TEST(HostileDatabase, NamesOfDataSets) {
  const SkillRoot root(skill_tables + good_rows +
                       "INSERT INTO datasets VALUES (2, '../x', 1), (3, '.', 1), (4, '', 1), (5, NULL, 1), "
                       "(-6, 'six', 1), ('7', 'seven', 1), (8, x'38', 1), (9, 'a/b', 1), (10, char(10), 1)");
  SetOptions options;
  options.val_fraction = 0.3;
  ::testing::internal::CaptureStderr();
  const auto tasks = find_tasks(root.path(), options);  // warnings name the others
  const std::string warnings = ::testing::internal::GetCapturedStderr();
  ASSERT_EQ(tasks.size(), 1U);
  EXPECT_EQ(tasks[0].name, "animals");
  EXPECT_NE(warnings.find("--val-fraction has no effect"), std::string::npos) << warnings;
  EXPECT_NE(warnings.find(" of datasets is not used: "), std::string::npos) << warnings;
  options.tasks = {"../x"};
  EXPECT_NE(message_of([&] { find_tasks(root.path(), options); }).find("no task"), std::string::npos);
}

TEST(HostileDatabase, ClassesThatOneSplitHas) {
  const std::string in_val =
      "INSERT INTO files VALUES ('/', 'x.ppm', 7, 1, 0, 1), ('/', 'y.ppm', 8, 1, 0, 1);";
  const std::string in_train = "INSERT INTO files VALUES ('/', 'x.ppm', 9, 1, 0, 0);";
  const std::string in_test = "INSERT INTO files VALUES ('/', 'x.ppm', 6, 1, 0, 2);";
  SetOptions options;
  options.tasks = {"animals"};
  expect_message(skill_tables + good_rows + in_val, "class 7, class 8 has images in val and none in train",
                 options);
  expect_message(skill_tables + good_rows + in_train, "class 9 has images in train and none in val", options);
  // If the user named no tasks, the other tasks continue.
  expect_message(skill_tables + good_rows + in_val, "none of the data sets can be learned");
  options.skip_bad = true;
  expect_message(skill_tables + good_rows + "DELETE FROM files WHERE \"set\" = 1", "at least two classes",
                 options);
  const SkillRoot root(skill_tables + good_rows + in_val + in_train + in_test);
  const Task task = find_tasks(root.path(), options).at(0);
  EXPECT_EQ(task.classes, (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(task.notes.size(), 3U);
  EXPECT_TRUE(task.test.empty());
}

TEST(HostileDatabase, LinksOutOfTheRoot) {
  TemporaryFolder outside;
  outside.image("secret.ppm");
  const SkillRoot root(
      skill_tables + good_rows +
      "INSERT INTO files VALUES ('/link/', 'secret.ppm', 1, 1, 0, 0), ('/', 'file.ppm', 1, 1, 0, 1), "
      "('/inner/', 'a.ppm', 2, 1, 0, 0), ('/', 'here.ppm', 2, 1, 0, 0)");
  root.dir.image("original_images/animals/a.ppm");
  const std::string folder = root.dir.path("original_images/animals/");
  std::filesystem::create_directory_symlink(outside.path(), folder + "link");
  std::filesystem::create_symlink(outside.path("secret.ppm"), folder + "file.ppm");
  std::filesystem::create_directory_symlink(folder, folder + "inner");
  std::filesystem::create_symlink(folder + "a.ppm", folder + "here.ppm");
  const Task task = find_tasks(root.path(), {}).at(0);
  ASSERT_EQ(task.unreadable.size(), 2U);
  EXPECT_TRUE(task.unreadable[0].path.ends_with("/link/secret.ppm"));
  EXPECT_TRUE(task.unreadable[1].path.ends_with("/animals/file.ppm"));
  EXPECT_NE(task.unreadable[1].reason.find("leads out of"), std::string::npos);
  EXPECT_NE(task.unreadable[1].reason.find("--follow-links"), std::string::npos);
  SetOptions follow;  // links, but never what the rows themselves say
  follow.follow_links = true;
  testing::run_sql(root.database(), "INSERT INTO files VALUES ('/../', 'up.ppm', 1, 1, 0, 0), ('" +
                                        outside.path("") + "/', 'secret.ppm', 1, 1, 0, 0)");
  const Task followed = find_tasks(root.path(), follow).at(0);
  ASSERT_EQ(followed.unreadable.size(), 1U);
  EXPECT_NE(followed.unreadable[0].reason.find("leads upward"), std::string::npos);
  for (const Sample& s : followed.train)
    EXPECT_TRUE(s.path.starts_with(root.dir.path("original_images/animals/")));
  testing::run_sql(root.database(),
                   "DELETE FROM files WHERE filename = 'up.ppm' OR path LIKE '" + outside.path("") + "%'");
  SetOptions options;
  options.skip_bad = true;
  const Task kept = find_tasks(root.path(), options).at(0);
  EXPECT_EQ(kept.train.size() + 1, task.train.size());
  EXPECT_EQ(kept.val.size() + 1, task.val.size());
}

// Images that cannot be decoded are left out. The others keep their order, and no image is added.
TEST(SkillDatabase, KeepsTheOrderWithoutUnreadableImages) {
  const SkillRoot root(skill_tables +
                       "INSERT INTO datasets VALUES (5, 'rows', 1);"
                       "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 39)"
                       "INSERT INTO files SELECT '/', i || '.ppm', 3 - i % 3, 5, 0, i / 30 FROM n");
  for (int i = 0; i < 40; ++i)
    if (i != 4 && i != 33) root.dir.image("original_images/rows/" + std::to_string(i) + ".ppm", i);
  const Task whole = find_tasks(root.path(), {}).at(0);
  EXPECT_EQ(whole.classes, (std::vector<std::string>{"3", "2", "1"}));
  Task stopped = whole;
  check_readable(stopped, {});
  EXPECT_EQ(stopped.unreadable.size(), 2U);
  SetOptions options;
  options.skip_bad = true;
  Task task = whole;
  const TaskImages images = check_readable(task, options, 4, "");
  EXPECT_EQ(task.unreadable.size(), 2U);
  const auto paths = [](const std::vector<Sample>& samples, const std::string& but) {
    std::vector<std::string> list;
    for (const Sample& s : samples)
      if (!s.path.ends_with(but)) list.push_back(s.path);
    return list;
  };
  EXPECT_EQ(paths(task.train, "-"), paths(whole.train, "/4.ppm"));
  EXPECT_EQ(paths(task.val, "-"), paths(whole.val, "/33.ppm"));
  EXPECT_EQ(paths(images.train->samples(), "-"), paths(task.train, "-"));
  EXPECT_FALSE(std::is_sorted(whole.train.begin(), whole.train.end(),
                              [](const Sample& a, const Sample& b) { return a.path < b.path; }));
}

#endif

}  // namespace
}  // namespace reprise::data
