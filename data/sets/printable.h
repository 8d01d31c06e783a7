// Names from outside, before they go into task files, tables and messages. Private to data/sets.
#pragma once

#include <string>
#include <string_view>

namespace reprise::data {

// Whether it is UTF-8 without control characters.
bool is_printable(std::string_view text);

// For messages: what is not plain ASCII as \xNN, cut off behind 100 characters.
std::string escaped(std::string_view text);

// Why the text cannot name a task: tasks become files of that name. Empty where it can.
std::string why_no_task_name(std::string_view text);

}  // namespace reprise::data
