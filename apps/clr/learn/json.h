// JSON as clr writes it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

namespace reprise::clr {

using Json = nlohmann::ordered_json;

Json number_or_null(const std::optional<double>& value);
// A copy whose texts and keys are UTF-8 whatever they were: bytes that are none become \xE9, a backslash becomes two
// (engine/base/utf8.h). What stands under "metadata" keeps its backslashes: it is text of a file, and often JSON.
Json escaped_json(const Json& json);
// JSON on one line with sorted keys: equal values give equal bytes. Numbers read back exactly.
std::string canonical(const Json& json);

}  // namespace reprise::clr
