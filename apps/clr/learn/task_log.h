// The comma-separated files of a run folder, above all a task's log: one line an epoch.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace reprise::clr {

// Returns a field: escaped, so that the file is UTF-8 with one row a line, and in quotes where it
// needs them.
std::string csv_field(const std::string& text);
// Takes a line apart.
std::vector<std::string> csv_fields(const std::string& line);
// The file's lines after the first that have so many fields; none where there is no such file.
std::vector<std::vector<std::string>> csv_rows(const std::string& path, std::size_t fields);

// A line of log/<task>.csv.
struct LoggedEpoch {
  int epoch = 0;
  double lr = 0, train_loss = 0, train_accuracy = 0;  // the loss is the sum over the epoch's steps
  std::optional<double> val_loss, val_accuracy;
  double seconds = 0;
  std::string line() const;  // without its end
};

struct TaskLog {
  std::vector<LoggedEpoch> epochs;
  double seconds() const;
};

// "epoch,lr,train_loss,…": the first line.
inline constexpr const char* task_log_header =
    "epoch,lr,train_loss,train_accuracy,val_loss,val_accuracy,seconds";
// Reads the log; empty where there is none.
TaskLog read_task_log(const std::string& path);

}  // namespace reprise::clr
