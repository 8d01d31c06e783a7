// Every environment variable that Reprise reads, in one table. For a switch "0" and "" mean off.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "engine/base/export.h"

namespace reprise {

struct EnvVariable {
  std::string_view name;      // "REPRISE_DEBUG"
  std::string_view meaning;   // one line, for `clr --env`
  std::string_view standard;  // the value if the variable is not set
};
REPRISE_API std::span<const EnvVariable> env_table();

// Return the variable's value, or the table's standard if it is not set.
// Every call reads the environment. Throw InternalError for a name outside the table.
REPRISE_API std::string env_string(std::string_view name);
REPRISE_API bool env_flag(std::string_view name);         // false for "0" and ""
REPRISE_API std::int64_t env_int(std::string_view name);  // 0 for ""; throws Error for other text

// Returns the names of the environment's REPRISE_* variables that the table lacks: "A, B".
REPRISE_API std::string unknown_env_variables();

}  // namespace reprise
