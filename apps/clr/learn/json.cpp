#include "apps/clr/learn/json.h"

#include <nlohmann/json.hpp>

namespace reprise::clr {

Json number_or_null(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

std::string canonical(const Json& json) {
  // The plain JSON type keeps its keys in a sorted map.
  return nlohmann::json::parse(json.dump(-1, ' ', false, Json::error_handler_t::replace)).dump();
}

}  // namespace reprise::clr
