#include "apps/clr/learn/json.h"

#include <nlohmann/json.hpp>

#include "engine/base/utf8.h"

namespace reprise::clr {
namespace {

Json with_texts_escaped(const Json& json, std::string_view keep) {
  if (json.is_string()) return escaped(json.get_ref<const std::string&>(), keep);
  if (!json.is_structured()) return json;
  Json changed = json.is_array() ? Json::array() : Json::object();
  for (const auto& [key, value] : json.items())
    if (json.is_array())
      changed.push_back(with_texts_escaped(value, keep));
    else
      changed[escaped(key, keep)] = with_texts_escaped(value, key == "metadata" ? keep_lines : keep);
  return changed;
}

}  // namespace

Json escaped_json(const Json& json) {
  return with_texts_escaped(json, "\n\t");
}

Json number_or_null(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

std::string canonical(const Json& json) {
  // The plain JSON type keeps its keys in a sorted map.
  return nlohmann::json::parse(json.dump(-1, ' ', false, Json::error_handler_t::replace)).dump();
}

}  // namespace reprise::clr
