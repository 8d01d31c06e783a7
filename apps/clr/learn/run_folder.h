// A run folder on disk: one backbone, method and recipe, and the tasks learned with them. CLI.md has the
// layout.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/clr/commands/common.h"
#include "apps/clr/learn/task_file.h"

namespace reprise::clr {

// An exclusive lock on a file (flock): gone when its owner is, however it ends.
class FileLock {
 public:
  // Nothing if another process (or another FileLock of this one) holds it.
  static std::optional<FileLock> try_lock(const std::string& path);
  static FileLock wait(const std::string& path);
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
  std::string task_file(const std::string& task) const;   // tasks/<task>.safetensors
  std::string state_file(const std::string& task) const;  // state/<task>.state
  std::string log_file(const std::string& task) const;    // log/<task>.csv
  std::string cache_dir() const;                          // decoded pixels that memory cannot hold

  bool exists() const;  // whether there is a run.json
  // run.json: "backbone" {path, copy (beside run.json, if it was copied), file_sha256, identity, arch,
  // parameters, bytes}, "recipe", "tasks" {name: {classes, train_images, val_images, test_images, digests}},
  // "invocations" [{argv, version, …, started, ended}]. Error where there is none or it is damaged.
  Json record() const;
  // Error, naming the option, if the folder was begun with another backbone or recipe.
  void check_same(const Json& backbone, const Json& recipe) const;
  // Makes the folders and run.json, or checks it, and adds an invocation; returns its place.
  std::size_t begin(const Json& backbone, const Json& recipe, Json invocation);
  void end(std::size_t invocation, const std::string& how);
  void add_task(const std::string& name, const Json& facts);

  bool is_finished(const std::string& task) const;
  // The right to learn this task, or nothing while another process has it.
  std::optional<FileLock> claim(const std::string& task) const;
  // Removes what the owner of a finished task has left, if it was ended before it could.
  void tidy(const std::string& task) const;
  // Names of the learned tasks: those of run.json that have a task file, in the order they were added.
  std::vector<std::string> finished_tasks() const;

  // results.csv, from run.json, the task files and the logs.
  void rebuild_results() const;
  // Removes what clr wrote here and nothing else. Error if this is no run folder, or another process works in
  // it.
  void restart() const;

 private:
  template <class Change>
  void update(Change change);
  std::string lock_file(const std::string& task) const;
  std::string path_;
};

// A CSV field, in quotes where it needs them; and a line taken apart.
std::string csv_field(const std::string& text);
std::vector<std::string> csv_fields(const std::string& line);
// Seconds since the epoch as "2026-01-31T12:00:00Z".
std::string timestamp();

}  // namespace reprise::clr
