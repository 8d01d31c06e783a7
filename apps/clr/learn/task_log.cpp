#include "apps/clr/learn/task_log.h"

#include <fmt/format.h>

#include <cstdlib>
#include <fstream>

#include "apps/clr/learn/table.h"
#include "engine/base/utf8.h"

namespace reprise::clr {

std::string csv_field(const std::string& text) {
  const std::string plain = escaped(text);
  if (plain.find_first_of(",\"") == std::string::npos) return plain;
  std::string quoted = "\"";
  for (const char c : plain) quoted += c == '"' ? "\"\"" : std::string(1, c);
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
  for (std::string& field : fields) field = unescaped(field);
  return fields;
}

std::vector<std::vector<std::string>> csv_rows(const std::string& path, std::size_t fields) {
  std::vector<std::vector<std::string>> rows;
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  while (std::getline(in, line))
    if (auto row = csv_fields(line); row.size() == fields) rows.push_back(std::move(row));
  return rows;
}

std::string LoggedEpoch::line() const {
  const auto text = [](const std::optional<double>& number) { return number ? exact(*number) : ""; };
  return fmt::format("{},{},{},{},{},{},{:.3f}", epoch, exact(lr), exact(train_loss), exact(train_accuracy),
                     text(val_loss), text(val_accuracy), seconds);
}

double TaskLog::seconds() const {
  double sum = 0;
  for (const LoggedEpoch& e : epochs) sum += e.seconds;
  return sum;
}

TaskLog read_task_log(const std::string& path) {
  TaskLog log;
  const auto number = [](const std::string& text) { return std::strtod(text.c_str(), nullptr); };
  const auto unless_empty = [&](const std::string& text) {
    return text.empty() ? std::nullopt : std::optional(number(text));
  };
  for (const auto& row : csv_rows(path, 7))
    log.epochs.push_back({std::atoi(row[0].c_str()), number(row[1]), number(row[2]), number(row[3]),
                          unless_empty(row[4]), unless_empty(row[5]), number(row[6])});
  return log;
}

}  // namespace reprise::clr
