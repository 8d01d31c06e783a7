// Lines on standard error, for the person at the terminal.
#pragma once

#include <string_view>

#include "engine/base/export.h"

namespace reprise {

// Writes the text and a newline, in one write. Bytes that are not printable UTF-8, as names from
// files may hold, become \xE9.
REPRISE_API void log_line(std::string_view text);
REPRISE_API void log_warning(std::string_view text);  // the same, after "warning: "

}  // namespace reprise
