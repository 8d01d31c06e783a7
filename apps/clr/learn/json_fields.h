// Reads fields of a JSON object that a stranger may have written.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>

#include "apps/clr/learn/json.h"

namespace reprise::clr {

// Copies object[key] into `value`; leaves `value` unchanged if the key is absent. Returns false if
// the field has another type: no number is cut to a whole one or taken for true or false.
template <class T>
bool read_field(const Json& object, const std::string& key, T& value) {
  const auto found = object.find(key);
  if (found == object.end()) return true;
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>)
    if (!found->is_number_integer()) return false;
  if constexpr (std::is_floating_point_v<T>)
    if (!found->is_number()) return false;
  try {
    found->get_to(value);
    return true;
  } catch (const Json::exception&) {
    return false;
  }
}

}  // namespace reprise::clr
