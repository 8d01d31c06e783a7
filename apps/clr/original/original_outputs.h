// Writes the files that the original writes for a task, from a finished task of a run folder.
#pragma once

#include <cstdint>
#include <string>

#include "apps/clr/learn/backbone.h"
#include "apps/clr/learn/task_file.h"
#include "data/sets/task.h"

namespace reprise::clr {

struct OriginalOutputs {
  std::string method;  // the original's name of the method
  std::string result_folder, weight_folder;
  std::string lock_file;    // locked while a line is added to the CSV: several processes may work on the run
  std::string csv() const;  // <result>/<method>.csv
  // Returns <task>_<method>_lr0.001_lambda1e-05_gamma0.1_stepsize20, with
  // the values of the task's recipe.
  std::string stem(const TaskFile& task) const;

  // Writes three files; `log` is the path of the task's log:
  // - the CSV: appends the line "task_id,task_name,best_accuracy" unless it is there;
  // - <result>/<stem>.txt: the log as text;
  // - <weight>/<stem>.pth: the whole network of the best epoch.
  void write(const Backbone& backbone, const TaskFile& task, const data::Task& data,
             const std::string& log) const;
};

// Returns correct / images, divided in single precision and printed as Python prints a double:
// "0.8500000238418579", "1.0".
std::string original_accuracy(std::int64_t correct, std::int64_t images);

}  // namespace reprise::clr
