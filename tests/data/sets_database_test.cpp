// The SKILL/DCT database:
// the images of each task and their order, compared with lists made in Python.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>

#include "data/sets/find_tasks.h"
#include "data/sets/paper_tasks.h"
#include "data/sets/skill_database.h"
#include "engine/base/sha256.h"
#include "tests/data/database_files.h"
#include "tests/data/expect_says.h"
#include "tests/data/image_files.h"

namespace reprise::data {
namespace {

using testing::golden_sets, testing::read_text;

TEST(PaperTasks, AreThoseOfTheTable) {
  const auto tasks = paper_tasks();
  ASSERT_EQ(tasks.size(), 53U);
  EXPECT_EQ(tasks[0].name, "scenes");
  EXPECT_EQ(tasks[52].name, "deepvp_shell");
  for (const PaperTask& t : tasks) {  // the limit per class times the number of classes bounds each task
    const int train = t.classes >= 60 ? 5120 : 2560, val = train / 10;
    EXPECT_LE(t.train, train + t.classes / 2) << t.name;
    EXPECT_LE(t.val, val + t.classes / 2) << t.name;
    EXPECT_GE(t.val, t.classes) << t.name;
  }
  const std::string table = REPRISE_SOURCE_DIR "/../shared/tasks53.csv";
  std::ifstream file(table);
  if (!file) GTEST_SKIP() << "no table at " << table;
  std::string line;
  std::getline(file, line);
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const PaperTask& t = tasks[i];
    std::getline(file, line);
    EXPECT_EQ(line, std::to_string(i + 1) + "," + std::to_string(t.id) + "," + std::string(t.name) + "," +
                        std::to_string(t.classes) + "," + std::to_string(t.train) + "," +
                        std::to_string(t.val));
  }
  EXPECT_FALSE(std::getline(file, line)) << line;
}

#ifndef REPRISE_WITH_SQLITE

TEST(SkillDatabase, IsRefusedByNameWithoutSqlite) {
  TemporaryFolder dir;
  dir.write("rolling_releases/database_2.sqlite", "");
  const std::string message = message_of([&] { find_tasks(dir.path(), {}); });
  EXPECT_NE(message.find("SQLite"), std::string::npos) << message;
  EXPECT_NE(message.find("without it"), std::string::npos) << message;
  EXPECT_EQ(sqlite_version(), "");
}

#else

using testing::run_sql, testing::SkillRoot;

// Returns the lines of `clr tasks --list`, with paths below the root.
std::string lines_of(const Task& task, const std::vector<Sample>& samples, const std::string& split,
                     const std::string& root) {
  std::string text;
  for (const Sample& s : samples) {
    EXPECT_TRUE(s.path.starts_with(root + "/")) << s.path;
    text += split + "\t" + std::to_string(s.label) + "\t" + task.classes[static_cast<std::size_t>(s.label)] +
            "\t" + s.path.substr(root.size() + 1) + "\n";
  }
  return text;
}

std::string lines_of(const Task& task, const std::string& root) {
  return lines_of(task, task.train, "train", root) + lines_of(task, task.val, "val", root) +
         lines_of(task, task.test, "test", root);
}

TEST(SkillDatabase, PicksWhatPythonPicks) {
  std::map<bool, std::unique_ptr<SkillRoot>> roots;
  for (const bool indexed : {false, true})
    roots[indexed] = std::make_unique<SkillRoot>(
        read_text(golden_sets + "small.sql") +
        (indexed ? "CREATE INDEX by_class ON files(dataset_id, \"set\", problem, class_id);" : ""));
  std::size_t checked = 0;
  for (const auto& row : testing::read_table(golden_sets + "lists.tsv")) {
    SCOPED_TRACE(row[1] + " " + row[2] + " indexed " + row[0]);
    const std::string root = roots[row[0] == "1"]->path();
    const Task task = read_skill_task(root, std::stoll(row[1]), {});
    EXPECT_EQ(task.id, row[1]);
    EXPECT_TRUE(task.ordered);
    EXPECT_TRUE(task.unreadable.empty());
    const auto& samples = row[2] == "train" ? task.train : row[2] == "val" ? task.val : task.test;
    EXPECT_EQ(std::to_string(samples.size()), row[3]);
    if (row[2] == "train") {
      EXPECT_EQ(std::to_string(task.classes.size()), row[4]);
    }
    const std::string lines = lines_of(task, samples, row[2], root);
    EXPECT_EQ(sha256_hex(std::as_bytes(std::span(lines))), row[5]);
    ++checked;
  }
  EXPECT_EQ(checked, 48U);
  const std::string root = roots[false]->path();
  EXPECT_EQ(lines_of(read_skill_task(root, 1, {}), root), read_text(golden_sets + "scenes.list"));
}

TEST(SkillDatabase, TasksByIdNameAndOrder) {
  const SkillRoot root(read_text(golden_sets + "small.sql"));
  const auto names = [&](std::vector<std::string> wanted) {
    SetOptions options;
    options.tasks = std::move(wanted);
    std::vector<std::string> found;
    for (const Task& t : find_tasks(root.path() + "/", options)) found.push_back(t.name);
    return found;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(names({}), (Names{"scenes", "birds of the north", "wikiart", "sixty", "Food-101", "more-than-300",
                              "Blumen-Äcker"}));
  EXPECT_EQ(names({"17", "scenes", "99", "1"}), (Names{"wikiart", "scenes", "not-good"}));
  SetOptions options;
  options.tasks = {"paper53"};
  const std::string message = message_of([&] { find_tasks(root.path(), options); });
  EXPECT_NE(message.find("'OfficeHome_Clipart (id 21)', 'OfficeHome_Product"), std::string::npos) << message;
  EXPECT_EQ(message.find("wikiart (id"), std::string::npos) << message;
  EXPECT_NE(message.find("wikiart (17)"), std::string::npos) << message;
  options.absent_allowed = true;  // by id, in the paper's order
  std::vector<std::string> found;
  for (const Task& t : find_tasks(root.path(), options)) found.push_back(t.id);
  EXPECT_EQ(found, (Names{"1", "2", "17", "18", "48", "99"}));
}

TEST(SkillDatabase, MakesNoFileAndTakesNoLock) {
  const SkillRoot root("PRAGMA journal_mode = WAL;" + read_text(golden_sets + "small.sql"));
  const std::filesystem::path folder = std::filesystem::path(root.database()).parent_path();
  for (const char* suffix : {"-wal", "-shm"}) std::filesystem::remove(root.database() + suffix);
  std::filesystem::permissions(folder,
                               std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  const std::string before = sha256_hex(testing::read(root.database()));
  EXPECT_EQ(find_tasks(root.path(), {}).size(), 7U);
  std::filesystem::permissions(folder, std::filesystem::perms::owner_all);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
  EXPECT_EQ(sha256_hex(testing::read(root.database())), before);
  root.dir.write("rolling_releases/database_2.sqlite-wal", "unfinished");
  EXPECT_NE(message_of([&] { find_tasks(root.path(), {}); }).find("changes beside it"), std::string::npos);
}

TEST(SkillDatabase, OptionsThatDoNotApply) {
  const SkillRoot root(read_text(golden_sets + "small.sql"));
  SetOptions options;
  options.max_images = 100;
  const std::string message = message_of([&] { find_tasks(root.path(), options); });
  EXPECT_NE(message.find("--max-images does not apply"), std::string::npos) << message;
  for (const std::string dir : {"/", "//"}) {
    const std::string top = message_of([&] { find_skill_tasks(dir, options); });
    EXPECT_TRUE(top.ends_with("\n  data    /")) << top;
  }
}

TEST(SkillDatabase, SmallestAndLongestNumbers) {
  const std::string eighteen = "000000000000000001";
  const SkillRoot root(testing::skill_tables +
                       "INSERT INTO datasets VALUES (0, 'zero', 1), (-1, 'minus one', 1);"
                       "INSERT INTO files VALUES ('/', 'a.ppm', 0, 0, 0, 0), ('/', 'b.ppm', 2, 0, 0, 0),"
                       "('/', 'c.ppm', 1, 0, 0, 0), ('/', 'd.ppm', '" +
                       eighteen + "', 0, 0, 0), ('/', 'e.ppm', '0" + eighteen +
                       "', 0, 0, 0), ('/', 'f.ppm', '', 0, 0, 0),"
                       "('/', 'g.ppm', 0, 0, 0, 1), ('/', 'h.ppm', 1, 0, 0, 1), ('/', 'i.ppm', 2, 0, 0, 1);");
  SetOptions options;
  options.max_files = 6;
  ::testing::internal::CaptureStderr();
  const auto tasks = find_tasks(root.path(), options);
  const std::string warnings = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(warnings.find("row 2 of datasets is not used: dataset_id is no whole number from 0"),
            std::string::npos)
      << warnings;
  ASSERT_EQ(tasks.size(), 1U);
  EXPECT_EQ(tasks[0].id, "0");
  EXPECT_EQ(tasks[0].classes, (std::vector<std::string>{"0", "2", "1"}));
  EXPECT_EQ(tasks[0].train.size(), 4U);
  EXPECT_FALSE(tasks[0].val_from_train);
  ASSERT_EQ(tasks[0].unreadable.size(), 2U);
  EXPECT_TRUE(tasks[0].unreadable[0].reason.ends_with("no whole number from 0: '0" + eighteen + "'"));
  EXPECT_TRUE(tasks[0].unreadable[1].reason.ends_with("no whole number from 0: ''"));
  options.max_files = 5;
  const std::string message = message_of([&] { find_tasks(root.path(), options); });
  EXPECT_NE(message.find("more than 5 images in one task"), std::string::npos) << message;
}

TEST(SkillDatabase, MayLieInFoldersOfAnyName) {
  TemporaryFolder dir;
  const std::string root = dir.path("100%25 a?b#c &mode=rw");
  std::filesystem::create_directories(root + "/original_images");
  run_sql(root + "/rolling_releases/database_2.sqlite", read_text(golden_sets + "small.sql"));
  EXPECT_FALSE(find_tasks(root, {}).empty());
}

// The same rows in the layout of the collection give the same images.
TEST(Collection, PicksTheSame) {
  const SkillRoot skill(read_text(golden_sets + "small.sql"));
  for (const std::string below : {"DCT_files", "name-pending_collection"}) {
    TemporaryFolder dir;
    run_sql(
        dir.path(below + "/0_collection/all_images.sqlite"),
        "ATTACH '" + skill.database() +
            "' AS skill;"
            "CREATE TABLE images(dataset TEXT, relative_path TEXT, class_id INTEGER, set_id INTEGER, problem "
            "INTEGER, subject_id, file_size, file_hash, image_hash, image_width, image_height, image_mode, "
            "image_format);"
            "INSERT INTO images(dataset, relative_path, class_id, set_id, problem) SELECT dataset_name, "
            "substr(path, 2) || filename, class_id, \"set\", problem FROM skill.files NATURAL JOIN "
            "skill.datasets ORDER BY skill.files.rowid;"
            "INSERT INTO images(dataset, relative_path, class_id, set_id, problem) VALUES ('a/b', 'x', 1, 0, "
            "0)");
    ::testing::internal::CaptureStderr();
    const auto tasks = find_tasks(dir.path(), {});
    testing::expect_says(::testing::internal::GetCapturedStderr(),
                         "the dataset 'a/b' is not used: the name it holds a slash");
    ASSERT_EQ(tasks.size(), 8U);  // no column says which images are good
    EXPECT_TRUE(std::is_sorted(tasks.begin(), tasks.end(), [](auto& a, auto& b) { return a.name < b.name; }));
    for (const Task& task : tasks) {
      SetOptions options;
      options.tasks = {task.name};
      const Task expected = find_tasks(skill.path(), options).at(0);
      EXPECT_EQ(task.classes, expected.classes);
      const std::string root = dir.path(below), other = skill.dir.path("original_images");
      EXPECT_EQ(lines_of(task, root), lines_of(expected, other)) << task.name;
      EXPECT_EQ(task.id, "");
      if (task.name == "scenes") {
        EXPECT_EQ(task.notes, std::vector<std::string>{"1 images belong to no split (set_id -1): left out"});
      } else {
        EXPECT_EQ(task.notes, expected.notes) << task.name;
      }
    }
  }
}

#endif

}  // namespace
}  // namespace reprise::data
