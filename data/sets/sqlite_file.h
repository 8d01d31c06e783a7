// Reads a stranger's SQLite database, and does nothing else with it. Private to data/sets.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/limits.h"

struct sqlite3;

namespace reprise::data {

// A value of a row.
struct SqliteValue {
  enum class Kind : std::uint8_t { null, integer, real, text, blob };
  Kind kind = Kind::null;
  std::int64_t integer = 0;
  std::string text;       // the first `most_text` bytes of a text
  std::int64_t size = 0;  // the number of bytes of a text or blob
  static constexpr std::int64_t most_text = limits::database_text_bytes;

  // Returns why the value is no text that can be used: another kind, too long, a zero byte. Empty
  // where it is one.
  std::string why_no_text() const;
};

// A database opened read-only and immutable, so that SQLite makes no lock, no journal and no other
// file. Refuses views, virtual tables and unsafe functions of the schema. Errors carry the path and
// SQLite's own message.
class SqliteFile {
 public:
  // Opens the database. Error where this build has no SQLite, or where a journal beside the file
  // holds changes that the file lacks.
  explicit SqliteFile(std::string path);

  const std::string& path() const { return path_; }
  // Throws Error unless `name` is an ordinary table.
  void require_table(const std::string& name) const;
  // Calls `row` for each row of a SELECT, in the database's order, with `bound` as the values of
  // ?1, ?2, …
  using Row = std::function<void(std::span<const SqliteValue>)>;
  void select(const std::string& sql, const std::vector<std::int64_t>& bound, const Row& row) const;
  void select(const std::string& sql, const std::string& bound, const Row& row) const;

 private:
  class Statement;
  struct Close {
    void operator()(sqlite3* database) const;
  };
  std::string path_;
  std::unique_ptr<sqlite3, Close> database_;
};

}  // namespace reprise::data
