// Lines for the person at the terminal, on standard error.
#pragma once

#include <string_view>

#include "engine/base/export.h"

namespace reprise {

// Writes the text and a newline. Bytes that are no printable UTF-8, as names from files may hold, become \xE9.
REPRISE_API void log_line(std::string_view text);
REPRISE_API void log_warning(std::string_view text);  // "warning: …"

}  // namespace reprise
