// results.csv: made anew from what lies in the run folder, so nothing is lost between two writes.
#include <fstream>
#include <nlohmann/json.hpp>

#include "apps/clr/learn/run_folder.h"
#include "apps/clr/learn/table.h"
#include "data/io/file.h"
#include "engine/core/check.h"

namespace reprise::clr {
namespace {

struct LogTotals {
  int epochs = 0;
  double seconds = 0;
};

LogTotals totals_of(const std::string& log_file) {
  LogTotals totals;
  std::ifstream in(log_file);
  std::string line;
  std::getline(in, line);
  while (std::getline(in, line)) {
    const auto fields = csv_fields(line);
    if (fields.size() != 7) continue;
    totals.epochs += 1;
    totals.seconds += std::strtod(fields[6].c_str(), nullptr);
  }
  return totals;
}

std::string optional_number(const std::optional<double>& value) {
  return value ? exact(*value) : "";
}

std::string line_of(const TaskFile& file, const Json& facts, const LogTotals& log,
                    std::int64_t backbone_parameters) {
  const layers::TaskCost cost = cost_of(file);
  const auto train_images = facts.value("train_images", std::int64_t{0});
  const double rate = log.seconds > 0 ? static_cast<double>(train_images) * log.epochs / log.seconds : 0;
  return fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{:.3f},{:.1f}\n", csv_field(file.task), file.method,
                     file.classes.size(), train_images, facts.value("val_images", std::int64_t{0}),
                     log.epochs, file.best_epoch, optional_number(file.val_accuracy),
                     optional_number(file.test_accuracy), cost.parameters(), cost.bytes(),
                     backbone_parameters, log.seconds, rate);
}

}  // namespace

void RunFolder::rebuild_results() const {
  const FileLock lock = FileLock::wait(path_ + "/run.lock");
  const Json json = record();
  std::string text =
      "task,method,classes,train_images,val_images,epochs,best_epoch,val_accuracy,test_accuracy,task_"
      "parameters,"
      "task_bytes,backbone_parameters,seconds,images_per_second\n";
  const auto parameters = json["backbone"].value("parameters", std::int64_t{0});
  for (const auto& [name, facts] : json["tasks"].items())
    if (is_finished(name))
      text += line_of(read_task_file(task_file(name)), facts, totals_of(log_file(name)), parameters);
  data::write_file_atomically(path_ + "/results.csv", text);
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

std::vector<std::string> csv_fields(const std::string& line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quoted && c == '"' && i + 1 < line.size() && line[i + 1] == '"')
      fields.back() += line[++i];
    else if (c == '"')
      quoted = !quoted;
    else if (c == ',' && !quoted)
      fields.emplace_back();
    else if (c != '\r')
      fields.back() += c;
  }
  return fields;
}

}  // namespace reprise::clr
