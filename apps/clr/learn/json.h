// JSON as clr writes it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

namespace reprise::clr {

using Json = nlohmann::ordered_json;

Json number_or_null(const std::optional<double>& value);
// Returns a copy whose texts and keys are UTF-8: other bytes become \xE9, a backslash becomes two
// (engine/base/utf8.h). Texts under "metadata" keep their backslashes, as they are often JSON themselves.
Json escaped_json(const Json& json);
// Returns the JSON on one line with sorted keys:
// equal values give equal bytes, and numbers read back exactly.
std::string canonical(const Json& json);

}  // namespace reprise::clr
