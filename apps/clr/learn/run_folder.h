// A run folder on disk: one backbone, method and recipe, and the tasks learned with them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/clr/learn/run_record.h"

namespace reprise::clr {

// An exclusive lock on a file (flock). The system releases the lock
// when the process that holds it ends, even if that process is killed.
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
  std::string cache_dir() const { return path_ + "/cache"; }  // for decoded pixels that memory cannot hold

  bool exists() const { return is_there(path_ + "/run.json"); }
  // Reads run.json. Throws Error if it is missing or damaged.
  RunRecord record() const;
  // Throws an Error that names the option if the folder was
  // begun with another backbone or recipe (JSON text).
  void check_same(const RecordedBackbone& backbone, const std::string& recipe) const;
  // Makes the folders and removes what killed processes left in them. Makes run.json or checks it
  // (check_same), adds the invocation to it and returns its index there.
  std::size_t begin(const RecordedBackbone& backbone, const std::string& recipe, Invocation invocation);
  // Records how an invocation ended: "done", "interrupted" (and by which signal) or "failed".
  void end(std::size_t invocation, const std::string& how, const std::string& signal = {});
  // Adds the task to run.json, or replaces what is recorded of it.
  void add_task(const RecordedTask& task);

  bool is_finished(const std::string& task) const { return is_there(task_file(task)); }
  // Claims the task for this process while the lock lives;
  // returns nothing if another process is learning it.
  std::optional<FileLock> claim(const std::string& task) const { return FileLock::try_lock(lock_file(task)); }
  // Removes the state and lock file that a killed owner left beside its finished task.
  void tidy(const std::string& task) const;
  // Returns the names of the tasks in run.json that have a task file, in the order they were added.
  std::vector<std::string> finished_tasks() const;

  // Writes results.csv from run.json, the task files and the logs.
  void rebuild_results() const;
  // Removes what clr wrote, and nothing else. Throws Error if this is no run folder or another
  // process learns a task in it. Does nothing if the folder is absent or empty.
  void restart() const;

 private:
  // Calls change(record) under the lock of run.json, and writes the file if `change` returns true.
  template <class Change>
  void update(Change change);
  // False, too, where the system cannot tell: the path is too long, a folder is closed to us.
  static bool is_there(const std::string& path) {
    std::error_code error;
    return std::filesystem::exists(path, error);
  }
  std::string lock_file(const std::string& task) const { return file_in("state", task, ".lock"); }
  std::string file_in(const char* folder, const std::string& task, const char* ending) const;
  std::string path_;
};

// Returns the present time in UTC as "2026-01-31T12:00:00Z".
std::string timestamp();

}  // namespace reprise::clr
