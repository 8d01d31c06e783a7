#include "apps/clr/original/original_outputs.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "apps/clr/learn/recipe.h"
#include "apps/clr/learn/run_folder.h"
#include "apps/clr/learn/table.h"
#include "apps/clr/learn/task_log.h"
#include "apps/clr/original/original_state_dict.h"
#include "data/io/file.h"
#include "data/weights/weight_file.h"
#include "engine/base/check.h"
#include "layers/batch_norm.h"
#include "layers/network.h"
#include "layers/reprogramming/method.h"

namespace reprise::clr {
namespace {

namespace fs = std::filesystem;

void append_line_once(const std::string& path, const std::string& line, const std::string& lock_file) {
  const FileLock lock = FileLock::wait(lock_file);
  std::string text;
  if (fs::exists(path)) {
    const auto bytes = data::read_file(path);
    text.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  if (!text.empty() && text.back() != '\n') text += '\n';
  if (("\n" + text).find("\n" + line + "\n") == std::string::npos)
    data::write_file_atomically(path, text + line + "\n");
}

std::int64_t correct_of(double accuracy, std::size_t images) {
  return std::llround(accuracy * static_cast<double>(images));
}

// Returns the original's log: for each epoch the sum of the
// batch losses, the accuracies, and the best so far.
std::string log_text(const OriginalOutputs& outputs, const TaskFile& task, const data::Task& data,
                     const std::string& log) {
  std::string text =
      fmt::format("task {} method {} classes {} train {} validation {}\nrecipe {}\n", task.task,
                  outputs.method, task.classes.size(), data.train.size(), data.val.size(), task.recipe);
  const auto accuracy = [&](double share) {
    return original_accuracy(correct_of(share, data.val.size()), std::ssize(data.val));
  };
  double best = -1;
  for (const LoggedEpoch& e : read_task_log(log).epochs) {
    const double val = e.val_accuracy.value_or(0);
    best = std::max(best, val);
    text +=
        fmt::format("epoch {} lr {} loss {} train_accuracy {} val_accuracy {} best {}\n", e.epoch,
                    exact(e.lr), exact(e.train_loss), exact(e.train_accuracy), accuracy(val), accuracy(best));
  }
  return text + fmt::format("best epoch {}\n", task.best_epoch);
}

// Returns how many batches each batch norm has seen at the best epoch. Only a batch norm in
// training mode has seen more than the backbone's.
std::map<std::string, std::int64_t> batches_tracked(const Backbone& backbone, const TaskFile& task,
                                                    std::size_t train_images) {
  const std::int64_t batch = partial_recipe(task.recipe, task.path).batch;
  const std::int64_t steps = (static_cast<std::int64_t>(train_images) + batch - 1) / batch * task.best_epoch;
  const bool counts = layers::find_method(task.method).train_mode;
  std::map<std::string, std::int64_t> tracked = backbone.batches_tracked;
  auto network = layers::make_network(backbone.arch, 1);
  for (const layers::Module* m : network->modules())
    if (dynamic_cast<const layers::BatchNorm2d*>(m) != nullptr && counts) tracked[m->path()] += steps;
  return tracked;
}

}  // namespace

std::string original_accuracy(std::int64_t correct, std::int64_t images) {
  const auto quotient = static_cast<double>(static_cast<float>(correct) / static_cast<float>(images));
  const std::string text = exact(quotient);
  return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
}

std::string OriginalOutputs::csv() const {
  return (fs::path(result_folder) / (method + ".csv")).string();
}

std::string OriginalOutputs::stem(const TaskFile& task) const {
  REPRISE_CHECK(task.task.find('/') == std::string::npos, "reproduce: a task's name cannot hold a '/': {}",
                task.task);
  const Recipe r = partial_recipe(task.recipe, task.path);
  return fmt::format("{}_{}_lr{}_lambda{}_gamma{}_stepsize{}", task.task, method, exact(r.lr),
                     exact(r.lambda), exact(r.gamma), r.lr_step);
}

void OriginalOutputs::write(const Backbone& backbone, const TaskFile& task, const data::Task& data,
                            const std::string& log) const {
  fs::create_directories(result_folder);
  fs::create_directories(weight_folder);
  const auto network = restore_network(backbone, task);
  data::write_pth((fs::path(weight_folder) / (stem(task) + ".pth")).string(),
                  original_state_dict(*network, batches_tracked(backbone, task, data.train.size())));
  data::write_file_atomically((fs::path(result_folder) / (stem(task) + ".txt")).string(),
                              log_text(*this, task, data, log));
  REPRISE_CHECK(task.val_accuracy.has_value() && !data.val.empty(),
                "reproduce: task {} has no validation images", task.task);
  append_line_once(csv(),
                   fmt::format("{},{},{}", csv_field(data.id), csv_field(task.task),
                               original_accuracy(correct_of(*task.val_accuracy, data.val.size()),
                                                 static_cast<std::int64_t>(data.val.size()))),
                   lock_file);
}

}  // namespace reprise::clr
