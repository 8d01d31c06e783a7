// Helpers that make databases from SQL.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/data/temporary_folder.h"

#ifdef REPRISE_WITH_SQLITE
#include <sqlite3.h>
#endif

namespace reprise::data::testing {

inline const std::string golden_sets = REPRISE_SOURCE_DIR "/tests/golden/sets/";

inline std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {(std::istreambuf_iterator<char>(file)), {}};
}

#ifdef REPRISE_WITH_SQLITE
// Runs the statements on the database at `path`, creating it if it is absent.
inline void run_sql(const std::string& path, const std::string& sql) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  char* message = nullptr;
  EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, &message), SQLITE_OK)
      << (message != nullptr ? message : "");
  sqlite3_free(message);
  sqlite3_close(database);
}

inline const std::string skill_tables =
    "CREATE TABLE datasets(dataset_id INTEGER, dataset_name TEXT, good INTEGER);"
    "CREATE TABLE files(path, filename, class_id, dataset_id, problem, \"set\");";

// A temporary root folder in the layout of SKILL/DCT.
struct SkillRoot {
  explicit SkillRoot(const std::string& sql) {
    dir.folder("original_images");
    run_sql(database(), sql);
  }
  std::string path() const { return dir.path(); }
  std::string database() const { return dir.path("rolling_releases/database_2.sqlite"); }
  TemporaryFolder dir;
};
#endif

}  // namespace reprise::data::testing
