// The files that the original program writes for a task, made from a finished task of a run folder.
#pragma once

#include <cstdint>
#include <string>

#include "apps/clr/learn/backbone.h"
#include "apps/clr/learn/task_file.h"
#include "data/sets/task.h"

namespace reprise::clr {

struct OriginalOutputs {
  std::string method;  // the original program's name
  std::string result_folder, weight_folder;
  std::string lock_file;  // held while a line goes into the CSV: several processes may work on one run folder
  std::string csv() const;  // <result>/<method>.csv
  // <task>_<method>_lr0.001_lambda1e-05_gamma0.1_stepsize20, with the recipe's values
  std::string stem(const TaskFile& task) const;

  // Appends "task_id,task_name,best_accuracy" to the CSV unless that line is there; writes
  // <result>/<stem>.txt, from the task's `log`, and the whole network of the best epoch, <weight>/<stem>.pth.
  void write(const Backbone& backbone, const TaskFile& task, const data::Task& data,
             const std::string& log) const;
};

// The quotient in single precision as Python prints it as a double: "0.8500000238418579", "1.0".
std::string original_accuracy(std::int64_t correct, std::int64_t images);

}  // namespace reprise::clr
