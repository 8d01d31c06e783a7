// The comma-separated files of a run folder, above all a task's log with one line for each epoch.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace reprise::clr {

// Returns the text as a field: escaped, so that the file is UTF-8 with one row a line, and in
// quotes if it needs them.
std::string csv_field(const std::string& text);
// Splits a line into its fields, without their quotes.
std::vector<std::string> csv_fields(const std::string& line);
// Reads the lines after the first that have exactly so many fields; none if there is no such file.
std::vector<std::vector<std::string>> csv_rows(const std::string& path, std::size_t fields);

// A line of log/<task>.csv.
struct LoggedEpoch {
  int epoch = 0;
  double lr = 0, train_loss = 0, train_accuracy = 0;  // train_loss: the sum over the epoch's steps
  std::optional<double> val_loss, val_accuracy;       // val_loss: the mean over the images
  double seconds = 0;
  std::string line() const;  // without the newline
};

struct TaskLog {
  std::vector<LoggedEpoch> epochs;
  double seconds() const;  // of all epochs together
};

// The first line of a log.
inline constexpr const char* task_log_header =
    "epoch,lr,train_loss,train_accuracy,val_loss,val_accuracy,seconds";
// Reads the log; empty if there is none.
TaskLog read_task_log(const std::string& path);

}  // namespace reprise::clr
