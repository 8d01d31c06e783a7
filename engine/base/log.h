// Lines on standard error, for the person at the terminal.
#pragma once

#include <string_view>

#include "engine/base/export.h"

namespace reprise {

REPRISE_API void log_line(std::string_view text);     // the text and a newline, in one write
REPRISE_API void log_warning(std::string_view text);  // the same, after "warning: "

}  // namespace reprise
