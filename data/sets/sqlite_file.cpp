#include "data/sets/sqlite_file.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "data/limits.h"
#include "data/sets/find_tasks.h"
#include "engine/base/check.h"

#ifdef REPRISE_WITH_SQLITE
#include <sqlite3.h>
#endif

namespace reprise::data {

std::string SqliteValue::why_no_text() const {
  switch (kind) {
    case Kind::null:
      return "is NULL";
    case Kind::integer:
    case Kind::real:
      return "is a number";
    case Kind::blob:
      return fmt::format("is a blob of {} bytes", size);
    case Kind::text:
      break;
  }
  if (size > most_text) return fmt::format("is a text of {} bytes, at most {} are taken", size, most_text);
  return text.find('\0') == std::string::npos ? "" : "holds a zero byte";
}

#ifdef REPRISE_WITH_SQLITE

namespace {

// Returns an absolute file: URI, in which no character of the path can be taken for an option.
std::string uri_of(const std::string& path) {
  std::error_code error;
  const std::string whole = std::filesystem::absolute(path, error).string();
  std::string uri = "file://";
  for (const char c : whole) {
    const auto u = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '/' || c == '.' || c == '_' || c == '-';
    uri += plain ? std::string(1, c) : fmt::format("%{:02X}", u);
  }
  return uri + "?immutable=1";
}

void check_no_journal(const std::string& path) {
  for (const char* suffix : {"-wal", "-journal"}) {
    std::error_code error;
    const auto size = std::filesystem::file_size(path + suffix, error);
    REPRISE_CHECK(error || size == 0,
                  "data: the database has changes beside it that are not in it yet: another program "
                  "writes to it or was interrupted (opening it once with the sqlite3 program settles "
                  "them)\n  file    {}{}",
                  path, suffix);
  }
}

SqliteValue value_of(sqlite3_stmt* statement, int column) {
  SqliteValue value;
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_NULL:
      return value;
    case SQLITE_INTEGER:
      value.kind = SqliteValue::Kind::integer;
      value.integer = sqlite3_column_int64(statement, column);
      return value;
    case SQLITE_FLOAT:
      value.kind = SqliteValue::Kind::real;
      return value;
    case SQLITE_BLOB:
      value.kind = SqliteValue::Kind::blob;
      value.size = sqlite3_column_bytes(statement, column);
      return value;
    default:
      break;
  }
  value.kind = SqliteValue::Kind::text;
  const unsigned char* text = sqlite3_column_text(statement, column);
  REPRISE_CHECK(text != nullptr, "data: SQLite is out of memory");
  value.size = sqlite3_column_bytes(statement, column);
  value.text.assign(reinterpret_cast<const char*>(text),
                    static_cast<std::size_t>(std::min(value.size, SqliteValue::most_text)));
  return value;
}

}  // namespace

class SqliteFile::Statement {
 public:
  Statement(const SqliteFile& file, const std::string& sql) : file_(file), sql_(sql) {
    check(sqlite3_prepare_v2(file.database_.get(), sql.c_str(), -1, &statement_, nullptr));
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  void bind(int place, std::int64_t value) { check(sqlite3_bind_int64(statement_, place, value)); }
  void bind(int place, const std::string& value) {
    check(sqlite3_bind_text64(statement_, place, value.data(), value.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
  }
  void run(const Row& row) {
    std::vector<SqliteValue> values(static_cast<std::size_t>(sqlite3_column_count(statement_)));
    for (;; ++rows_) {
      const int status = sqlite3_step(statement_);
      if (status == SQLITE_DONE) return;
      if (status != SQLITE_ROW) check(status);
      for (std::size_t i = 0; i < values.size(); ++i) values[i] = value_of(statement_, static_cast<int>(i));
      row(values);
    }
  }

 private:
  void check(int status) const {
    REPRISE_CHECK(status == SQLITE_OK, "data: SQLite: {}\n  file    {}\n  query   {}{}",
                  sqlite3_errmsg(file_.database_.get()), file_.path_, sql_,
                  rows_ > 0 ? fmt::format("\n  rows    {} before it", rows_) : "");
  }
  const SqliteFile& file_;
  const std::string& sql_;
  sqlite3_stmt* statement_ = nullptr;
  std::int64_t rows_ = 0;
};

void SqliteFile::Close::operator()(sqlite3* database) const {
  sqlite3_close(database);
}

SqliteFile::SqliteFile(std::string path) : path_(std::move(path)) {
  check_no_journal(path_);
  sqlite3* opened = nullptr;
  const int status =
      sqlite3_open_v2(uri_of(path_).c_str(), &opened,
                      SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_PRIVATECACHE, nullptr);
  database_.reset(opened);
  REPRISE_CHECK(status == SQLITE_OK, "data: the database cannot be opened: {}\n  file    {}",
                sqlite3_errstr(status), path_);
  constexpr std::array on = {SQLITE_DBCONFIG_DEFENSIVE};
  constexpr std::array off = {SQLITE_DBCONFIG_TRUSTED_SCHEMA, SQLITE_DBCONFIG_ENABLE_VIEW,
                              SQLITE_DBCONFIG_ENABLE_TRIGGER, SQLITE_DBCONFIG_DQS_DML,
                              SQLITE_DBCONFIG_DQS_DDL};
  for (const int option : on) sqlite3_db_config(opened, option, 1, nullptr);
  for (const int option : off) sqlite3_db_config(opened, option, 0, nullptr);
  sqlite3_limit(opened, SQLITE_LIMIT_LENGTH, limits::database_value_bytes);
  sqlite3_limit(opened, SQLITE_LIMIT_ATTACHED, 0);
  select("PRAGMA cell_size_check = 1", std::vector<std::int64_t>{}, [](auto) {});
}

void SqliteFile::require_table(const std::string& name) const {
  bool found = false, ordinary = false;
  select("SELECT type, rootpage FROM sqlite_master WHERE name = ?1 COLLATE NOCASE", name,
         [&](std::span<const SqliteValue> row) {
           found = true;
           ordinary = row[0].text == "table" && row[1].integer > 0;  // a virtual table has no page
         });
  REPRISE_CHECK(found, "data: the database has no table '{}'\n  file    {}", name, path_);
  REPRISE_CHECK(ordinary, "data: '{}' of the database is not an ordinary table\n  file    {}", name, path_);
}

void SqliteFile::select(const std::string& sql, const std::vector<std::int64_t>& bound,
                        const Row& row) const {
  Statement statement(*this, sql);
  for (std::size_t i = 0; i < bound.size(); ++i) statement.bind(static_cast<int>(i) + 1, bound[i]);
  statement.run(row);
}

void SqliteFile::select(const std::string& sql, const std::string& bound, const Row& row) const {
  Statement statement(*this, sql);
  statement.bind(1, bound);
  statement.run(row);
}

std::string sqlite_version() {
  return std::string("SQLite ") + sqlite3_libversion();
}

#else

void SqliteFile::Close::operator()(sqlite3*) const {}

SqliteFile::SqliteFile(std::string path) : path_(std::move(path)) {
  throw_error(
      "data: a database of tasks is read with SQLite, and this build is without it (libsqlite3-dev was "
      "absent, "
      "or REPRISE_MINIMAL on)\n  file    {}",
      path_);
}
void SqliteFile::require_table(const std::string&) const {}
void SqliteFile::select(const std::string&, const std::vector<std::int64_t>&, const Row&) const {}
void SqliteFile::select(const std::string&, const std::string&, const Row&) const {}

std::string sqlite_version() {
  return {};
}

#endif

}  // namespace reprise::data
