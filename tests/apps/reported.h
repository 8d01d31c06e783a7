// Runs and tasks as the report has read them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "apps/clr/report/page.h"

namespace reprise::test {

// A task of three epochs whose every image was taken for every class once.
inline clr::ReportedTask task_called(const std::string& name, std::vector<std::string> classes) {
  clr::ReportedTask task;
  task.file.task = name;
  task.file.method = "clr";
  task.file.classes = std::move(classes);
  task.file.data_digests = {{"train", "0123"}};
  task.file.best_epoch = 2;
  task.chance = 1.0 / static_cast<double>(task.file.classes.size());
  task.split = "val";
  task.accuracy = task.file.val_accuracy = task.learned = 0.75;
  task.now = 0.5;
  task.log = {{1, 0.1, 3, 0.25, {}, 0.5, 1}, {2, 0.1, 2, 0.5, {}, 0.75, 1}, {3, 0.01, 1, 0.75, {}, {}, 1}};
  for (const auto& truth : task.file.classes)
    for (const auto& guess : task.file.classes)
      task.guesses.push_back({truth, guess, "/nowhere/" + truth, 0.5});
  task.guessed_split = "val";
  Tensor filters = zeros({3, 3, 3});
  for (const int c : {0, 1, 2}) filters.mutable_data<float>()[9 * c + 4] = static_cast<float>(c) - 0.5F;
  task.filters = {{"layer1.0.conv1", filters, 0.25}};
  task.cost.reprogramming = 90, task.cost.head = 30, task.cost.network_numbers = 12000;
  return task;
}

// A run that learned these tasks.
inline clr::ReportedRun run_of(const std::string& method, std::vector<clr::ReportedTask> tasks) {
  clr::ReportedRun run;
  run.path = "runs/" + method;
  run.method = run.label = method;
  run.record.backbone.arch = "resnet20";
  run.record.backbone.identity = "abcd";
  run.record.recipe = R"({"method": "clr"})";
  run.record.invocations.emplace_back();
  run.record.invocations[0].argv = {"clr", "train", "--data", "my images"};
  run.record.invocations[0].version = "0.1.0";
  run.tasks = std::move(tasks);
  return run;
}

}  // namespace reprise::test
