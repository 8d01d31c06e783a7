// Lines for the person at the terminal, on standard error.
#pragma once

#include <string_view>

#include "engine/base/export.h"

namespace reprise {

REPRISE_API void log_line(std::string_view text);     // as it is, with a newline
REPRISE_API void log_warning(std::string_view text);  // "warning: …"

}  // namespace reprise
