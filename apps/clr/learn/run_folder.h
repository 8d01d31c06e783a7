// A run folder on disk: one backbone, method and recipe, and the tasks learned with them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/clr/learn/run_record.h"
#include "apps/clr/learn/task_file.h"

namespace reprise::clr {

// An exclusive lock on a file (flock). The system releases the lock when the process that holds it
// ends, even if that process is killed. A lock saves work and never decides what is right: where
// the file system has no locks, a line says so, and the lock is held by everybody who asks.
class FileLock {
 public:
  // try_lock returns nothing if another process, or another FileLock of this process, holds the
  // lock; wait sleeps until the lock is free. Both make the file if needed and throw Error if it
  // cannot be opened.
  static std::optional<FileLock> try_lock(const std::string& path) { return lock(path, false); }
  static FileLock wait(const std::string& path) { return *lock(path, true); }
  ~FileLock();
  FileLock(FileLock&& other) noexcept
      : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}
  FileLock& operator=(FileLock&&) = delete;
  void remove();  // deletes the file, then releases the lock

 private:
  FileLock(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  static std::optional<FileLock> lock(const std::string& path, bool wait);
  std::string path_;
  int descriptor_;
};

class RunFolder {
 public:
  explicit RunFolder(std::string path) : path_(std::move(path)) {}
  const std::string& path() const { return path_; }
  std::string task_file(const std::string& task) const { return file_in("tasks", task, ".safetensors"); }
  std::string state_file(const std::string& task) const { return file_in("state", task, ".state"); }
  std::string log_file(const std::string& task) const { return file_in("log", task, ".csv"); }

  bool exists() const { return is_there(path_ + "/run.json"); }
  // Reads run.json and the processes' records in log/; the calls are sorted by their start. Throws
  // Error if run.json is missing or damaged.
  RunRecord record() const;
  // Throws an Error that names the option if the folder was begun with another backbone or recipe
  // (JSON text). Returns the call that began it.
  Invocation check_same(const RecordedBackbone& backbone, const std::string& recipe) const;
  // Makes the folders and removes what killed processes left in them. Publishes run.json, which is
  // never rewritten; if it is there, checks it (check_same, keep_level). Then writes this process's
  // record, log/process-<host>-<pid>.json.
  void begin(const RecordedBackbone& backbone, const std::string& recipe, Invocation invocation);
  // Records that this process begins to learn the task.
  void add_task(const std::string& task);
  // Records how this process ended: "done", "interrupted" (and by which signal) or "failed".
  void end(const std::string& how, const std::string& signal = {});

  bool is_finished(const std::string& task) const { return is_there(task_file(task)); }
  // Claims the task for this process while the lock lives;
  // returns nothing if another process is learning it.
  std::optional<FileLock> claim(const std::string& task) const { return FileLock::try_lock(lock_file(task)); }
  // Removes the state and lock file that a killed owner left beside its finished task.
  void tidy(const std::string& task) const;
  // Returns the names of the tasks that have a task file: those that the records name in the order
  // in which they were begun, then all others by name.
  std::vector<std::string> finished_tasks() const { return finished_tasks(record()); }
  std::vector<std::string> finished_tasks(const RunRecord& record) const;
  // Reads the file of a finished task. Takes from the record what a file of an older clr lacks.
  TaskFile learned(const std::string& task, const RunRecord& record) const;

  // Writes results.csv from the task files and the logs.
  void rebuild_results() const;
  // Removes what clr wrote, and nothing else. Throws Error if this is no run folder or another
  // process learns a task in it. Does nothing if the folder is absent or empty.
  void restart() const;

 private:
  void write_own() const;
  // False, too, where the system cannot tell: the path is too long, a folder is closed to us.
  static bool is_there(const std::string& path) {
    std::error_code error;
    return std::filesystem::exists(path, error);
  }
  std::string lock_file(const std::string& task) const { return file_in("state", task, ".lock"); }
  std::string file_in(const char* folder, const std::string& task, const char* ending) const;
  std::string path_;
  std::string own_file_;  // this process's record
  Invocation own_;
};

// Returns the present time in UTC as "2026-01-31T12:00:00Z".
std::string timestamp();

}  // namespace reprise::clr
