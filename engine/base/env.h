// Every environment variable that Reprise reads, in one table. "0" and "" are off.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "engine/base/export.h"

namespace reprise {

struct EnvVariable {
  std::string_view name;      // "REPRISE_DEBUG"
  std::string_view meaning;   // one line
  std::string_view standard;  // what holds when it is not set
};
REPRISE_API std::span<const EnvVariable> env_table();

// The value, or the standard of the table. A name outside the table is an internal error. Read anew at each
// call.
REPRISE_API std::string env_string(std::string_view name);
REPRISE_API bool env_flag(std::string_view name);
REPRISE_API std::int64_t env_int(std::string_view name);  // Error unless a number

// The REPRISE_* variables of the environment that are not in the table.
REPRISE_API std::string unknown_env_variables();

}  // namespace reprise
