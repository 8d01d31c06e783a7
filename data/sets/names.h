// Names from outside: what may name a task, and how names stand in messages.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/export.h"

namespace reprise::data {

// Returns the text for a message: escaped (engine/base/utf8.h) and cut off after 100 bytes.
std::string shown(std::string_view text);

// Returns why the text cannot name a task, whose name becomes a file's; empty where it can.
std::string why_no_task_name(std::string_view text);

// Compares a name that was not found with the names that there are. Where one of them differs only
// in its Unicode form (NFC, NFD), returns lines for the end of a message, with both byte by byte;
// else nothing. `here` and `there` say where each name stands.
REPRISE_API std::string other_form(const std::string& name, const std::vector<std::string>& known,
                                   std::string_view here, std::string_view there);

}  // namespace reprise::data
