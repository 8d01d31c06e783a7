// Lists of images, folders, names and databases of tasks.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "data/sets/class_folders.h"
#include "data/sets/collection_database.h"
#include "data/sets/list_file.h"
#include "data/sets/names.h"
#include "data/sets/skill_database.h"
#include "data/sets/splits.h"
#include "engine/base/utf8.h"
#include "tests/fuzz/targets.h"

#ifdef REPRISE_WITH_SQLITE
#include <sqlite3.h>
#endif

namespace reprise::fuzz {
namespace {

using namespace reprise::data;

namespace fs = std::filesystem;

constexpr std::string_view image = "P5\n1 1\n255\n7";

// A folder with the images that the lists and databases of the corpus refer to.
std::string image_folder(const std::string& name) {
  const std::string folder = scratch_folder() + "/" + name;
  if (fs::exists(folder)) return folder;
  for (const char* file : {"a.pgm", "b.pgm", "c c.pgm"})
    file_of(std::as_bytes(std::span(image.data(), image.size())), name + "/" + file);
  return folder;
}

void list(Bytes bytes) {
  image_folder("lists");
  find_list_tasks(file_of(bytes, "lists/list.txt"), {});
}

// Images at the paths that the lines give, in a folder that held others before.
void folders(Bytes bytes) {
  const fs::path root = fs::path(scratch_folder()) / "folders";
  std::error_code error;
  fs::remove_all(root, error);
  fs::create_directories(root);
  std::istringstream lines(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  int files = 0;
  for (std::string line; files < 40 && std::getline(lines, line); ++files) {
    const fs::path path = fs::path(line).relative_path().lexically_normal();
    if (path.empty() || *path.begin() == "..") continue;
    fs::create_directories((root / path).parent_path(), error);
    std::ofstream(root / path, std::ios::binary) << image;
  }
  for (const Task& task : find_folder_tasks(root.string(), {})) {
    if (!why_no_task_name(task.name).empty() || task.classes.size() < 2) std::abort();
    for (const auto* samples : {&task.train, &task.val, &task.test})
      for (const Sample& s : *samples)
        if (!fs::exists(s.path) || s.label < 0 || s.label >= std::ssize(task.classes)) std::abort();
  }
}

// What is written of any bytes is printable and reads back.
void names(Bytes bytes) {
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::string first = text.substr(0, text.size() / 2), second = text.substr(text.size() / 2);
  for (const char* keep : {"", "\n\t"})
    if (unescaped(escaped(text, keep)) != text) std::abort();
  if (!is_printable(escaped(text)) ||
      escaped(escaped(text, keep_lines), keep_lines) != escaped(text, keep_lines))
    std::abort();
  unescaped(text);
  if (differ_in_form_only(first, second) != differ_in_form_only(second, first) ||
      differ_in_form_only(text, text))
    std::abort();
  if (!other_form(text, {text}, "here", "there").empty()) std::abort();
  split_named(text);
}

#ifdef REPRISE_WITH_SQLITE

void skill_database(Bytes bytes) {
  image_folder("skill/original_images/one");
  file_of(bytes, "skill/rolling_releases/database_2.sqlite");
  find_skill_tasks(scratch_folder() + "/skill", {});
}

void collection_database(Bytes bytes) {
  image_folder("collection/one");
  file_of(bytes, "collection/0_collection/all_images.sqlite");
  SetOptions options;
  options.skip_bad = true;
  find_collection_tasks(scratch_folder() + "/collection", options);
}

// Reads a row's values from bytes: a kind, then a number, or a length and that many bytes.
class RowSource {
 public:
  explicit RowSource(Bytes bytes) : bytes_(bytes) {}
  bool left() const { return !bytes_.empty(); }
  void bind(sqlite3_stmt* statement, int place) {
    const unsigned kind = byte(), number = byte();
    const std::size_t n = std::min<std::size_t>(number, bytes_.size());
    const auto* data = reinterpret_cast<const char*>(bytes_.data());
    switch (kind % 5) {
      case 0:
        sqlite3_bind_null(statement, place);
        return;
      case 1:
        sqlite3_bind_int64(statement, place, std::int64_t{number} - 2);
        return;
      case 2:
        sqlite3_bind_double(statement, place, number * 1e17);
        return;
      case 3:
        sqlite3_bind_blob(statement, place, data, static_cast<int>(n), SQLITE_TRANSIENT);
        break;
      default:
        sqlite3_bind_text(statement, place, data, static_cast<int>(n), SQLITE_TRANSIENT);
    }
    bytes_ = bytes_.subspan(n);
  }

 private:
  unsigned byte() {
    if (bytes_.empty()) return 0;
    const auto value = std::to_integer<unsigned>(bytes_.front());
    bytes_ = bytes_.subspan(1);
    return value;
  }
  Bytes bytes_;
};

// A valid database with arbitrary rows.
void database_rows(Bytes bytes) {
  image_folder("rows/original_images/one");
  const std::string path = file_of({}, "rows/rolling_releases/database_2.sqlite");
  sqlite3* database = nullptr;
  sqlite3_open(path.c_str(), &database);
  sqlite3_exec(database,
               "PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF; PRAGMA page_size = 512; BEGIN;"
               "CREATE TABLE datasets(dataset_id, dataset_name, good);"
               "CREATE TABLE files(path, filename, class_id, dataset_id, problem, \"set\");"
               "INSERT INTO datasets VALUES (1, 'one', 1)",
               nullptr, nullptr, nullptr);
  RowSource source(bytes);
  for (const auto& [sql, values] : {std::pair{"INSERT INTO datasets VALUES (?, ?, ?)", 3},
                                    std::pair{"INSERT INTO files VALUES (?, ?, ?, 1, 0, 0)", 3},
                                    std::pair{"INSERT INTO files VALUES (?, ?, ?, ?, ?, ?)", 6}}) {
    sqlite3_stmt* statement = nullptr;
    sqlite3_prepare_v2(database, sql, -1, &statement, nullptr);
    const int rows = values == 3 && sql[12] == 'd' ? 1 : 8;
    for (int row = 0; row < rows && source.left(); ++row) {
      sqlite3_reset(statement);
      for (int i = 1; i <= values; ++i) source.bind(statement, i);
      sqlite3_step(statement);
    }
    sqlite3_finalize(statement);
  }
  sqlite3_exec(database, "COMMIT", nullptr, nullptr, nullptr);
  sqlite3_close(database);
  SetOptions options;
  options.skip_bad = true;
  find_skill_tasks(scratch_folder() + "/rows", options);
}

#endif

}  // namespace

std::vector<Target> set_targets() {
  return {
      {"list", "golden/sets/*.list", list},
      {"folders", "", folders},
      {"names", "", names},
#ifdef REPRISE_WITH_SQLITE
      {"skill_database", "", skill_database},
      {"collection_database", "", collection_database},
      {"database_rows", "", database_rows},
#endif
  };
}

}  // namespace reprise::fuzz
