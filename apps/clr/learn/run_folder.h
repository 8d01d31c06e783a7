// A run folder on disk: one backbone, method and recipe, and the tasks learned with them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/clr/learn/run_record.h"

namespace reprise::clr {

// An exclusive lock on a file (flock): gone when its owner is, however it ends.
class FileLock {
 public:
  // Nothing if another process (or another FileLock of this one) holds it.
  static std::optional<FileLock> try_lock(const std::string& path) { return lock(path, false); }
  static FileLock wait(const std::string& path) { return *lock(path, true); }
  ~FileLock();
  FileLock(FileLock&& other) noexcept
      : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}
  FileLock& operator=(FileLock&&) = delete;
  void remove();  // deletes the file and lets go

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
  std::string cache_dir() const { return path_ + "/cache"; }  // decoded pixels that memory cannot hold

  bool exists() const { return is_there(path_ + "/run.json"); }
  // Error where there is none or it is damaged.
  RunRecord record() const;
  // Error, naming the option, if the folder was begun with another backbone or recipe (JSON text).
  void check_same(const RecordedBackbone& backbone, const std::string& recipe) const;
  // Makes the folders and run.json, or checks it, and adds an invocation; returns its place.
  std::size_t begin(const RecordedBackbone& backbone, const std::string& recipe, Invocation invocation);
  void end(std::size_t invocation, const std::string& how);
  void add_task(const RecordedTask& task);

  bool is_finished(const std::string& task) const { return is_there(task_file(task)); }
  // The right to learn this task, or nothing while another process has it.
  std::optional<FileLock> claim(const std::string& task) const { return FileLock::try_lock(lock_file(task)); }
  // Removes what the owner of a finished task has left, if it was ended before it could.
  void tidy(const std::string& task) const;
  // Names of the learned tasks: those of run.json that have a task file, in the order they were added.
  std::vector<std::string> finished_tasks() const;

  // results.csv, from run.json, the task files and the logs.
  void rebuild_results() const;
  // Removes only what clr wrote. Error if this is no run folder or another process works in it.
  void restart() const;

 private:
  // `change` returns whether run.json is to be written.
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

// Seconds since the epoch as "2026-01-31T12:00:00Z".
std::string timestamp();

}  // namespace reprise::clr
