#include "apps/clr/audit/columns.h"

#include "apps/clr/learn/surroundings.h"

namespace reprise::clr {
namespace {

// Returns why this machine or build cannot compute the column; empty if it can.
std::string why_not(const Column& column) {
  Common common;
  common.device = column.device;
  common.dtype = column.dtype;
  try {
    common.resolved_dtype();
  } catch (const Error& e) {
    const std::string text = e.what();
    return text.substr(0, text.find('\n'));
  }
  // The levels are ordered, and this process uses the highest one allowed.
  const auto level = [](const std::string& isa) { return isa == "avx512" ? 2 : isa == "avx2" ? 1 : 0; };
  for (const auto& [name, value] : column.switches)
    if (name == "REPRISE_CPU_ISA" && level(value) > level(instruction_set(cpu_device)))
      return fmt::format("this machine, or REPRISE_CPU_ISA, stops at {}", instruction_set(cpu_device));
  return {};
}

}  // namespace

std::vector<const Column*> present_columns(std::span<const Column> columns, const Common& common) {
  std::vector<const Column*> present;
  for (const Column& column : columns) {
    const std::string reason = why_not(column);
    if (reason.empty()) present.push_back(&column);
    if (!reason.empty() && !common.quiet) log_line(fmt::format("{}: left out: {}", column.title, reason));
  }
  return present;
}

Json run_column(const Column& column) {
  const std::vector<std::string> all = arguments_of_process();
  std::vector<std::string> arguments;
  for (std::size_t i = 1; i < all.size(); ++i) {
    const bool replaced = all[i].starts_with("--device") || all[i].starts_with("--dtype");
    if (replaced && all[i].find('=') == std::string::npos) ++i;  // its value
    if (!replaced && all[i] != "--json" && all[i] != "--quiet") arguments.push_back(all[i]);
  }
  for (const std::string& word :
       {std::string("--only"), std::string("--json"), std::string("--quiet"), std::string("--device"),
        column.device, std::string("--dtype"), column.dtype})
    arguments.push_back(word);
  Json json = Json::parse(run_self(arguments, column.switches), nullptr, false);
  REPRISE_CHECK(json.is_object(), "{}: the column's process printed no object", column.title);
  return json;
}

}  // namespace reprise::clr
