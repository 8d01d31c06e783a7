// A stranger's SQLite database, to be read and nothing else. Private to data/sets.
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

struct SqliteValue {
  enum class Kind : std::uint8_t { null, integer, real, text, blob };
  Kind kind = Kind::null;
  std::int64_t integer = 0;
  std::string text;       // of a text, its first `most_text` bytes
  std::int64_t size = 0;  // bytes of a text or blob
  static constexpr std::int64_t most_text = limits::database_text_bytes;

  // Why the value is no text to work with: another kind, too long, a zero byte in it. Empty where it is one.
  std::string why_no_text() const;
};

// Opened read-only and immutable: no lock, no journal, no file beside it is made. Views, virtual tables and
// unsafe functions of its schema are refused. Throws Error, with the path and what SQLite says.
class SqliteFile {
 public:
  // Error where this build is without SQLite, or a journal with content lies beside the file: its last
  // changes stand there and would be missed.
  explicit SqliteFile(std::string path);

  const std::string& path() const { return path_; }
  // Error unless `name` is an ordinary table.
  void require_table(const std::string& name) const;
  // Calls `row` for each row of a SELECT, in the database's order; `bound` goes to ?1, ?2, …
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
