#include "apps/clr/learn/recipe.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "apps/clr/learn/errors.h"
#include "apps/clr/learn/json_fields.h"
#include "engine/base/check.h"

namespace reprise::clr {
namespace {

using R = Recipe;
constexpr double above_0 = std::numeric_limits<double>::denorm_min(), below_1 = 1 - 0x1p-53,
                 largest = std::numeric_limits<double>::max();

constexpr RecipeField fields[] = {
    {"method", &R::method},
    {"size", &R::size, "1 to 8192 pixels", 0, 8192},
    {"epochs", &R::epochs, "0 or more", 0, largest},
    {"batch", &R::batch, "1 or more", 1, largest},
    {"lr", &R::lr, "a number above 0", above_0, largest},
    {"lr-step", &R::lr_step, "1 or more epochs", 0, largest},
    {"gamma", &R::gamma, "a number above 0", above_0, largest},
    {"penalty", &R::penalty, "one of l2, l1, l12, none"},
    {"lambda", &R::lambda, "0 or more", 0, largest},
    {"patience", &R::patience, "0 or more epochs", 0, largest},
    {"optimizer", &R::optimizer, "one of adam, sgd"},
    {"val-fraction", &R::val_fraction, "a number between 0 and 1", above_0, below_1},
    {"max-images", &R::max_images, "1 or more", 0, largest},
    {"skip-bad", &R::skip_bad},
    {"steps", &R::steps, "1 or more", 0, largest},
    {"seed", &R::seed},
    {"device", &R::device},
    {"dtype", &R::dtype},
    {"init", &R::init_sha256},
    {"order", &R::order_sha256},
    {"momentum", &R::momentum, "a number in [0,1)", 0, below_1,
     [](const R& r) { return r.optimizer == "sgd"; }},
    {"weight-decay", &R::weight_decay, "0 or more", 0, largest,
     [](const R& r) { return r.weight_decay != 0; }},
    {"schedule", &R::schedule, "one of step, cosine", 0, 0, [](const R& r) { return r.schedule != "step"; }},
    {"rng", &R::rng, "one of streams, torch", 0, 0, [](const R& r) { return r.rng != "streams"; }},
};

bool is_possible(const std::string& word, const RecipeField& field) {
  return word.find_first_of(", ") == word.npos &&
         (std::string(field.expected) + ",").find(" " + word + ",") != word.npos;
}
template <class Number>
bool is_possible(Number number, const RecipeField& field) {
  const auto value = static_cast<double>(number);
  return value >= field.low && value <= field.high;
}

}  // namespace

std::span<const RecipeField> recipe_fields() {
  return fields;
}

Json to_json(const Recipe& recipe) {
  Recipe r = recipe;
  r.lr_step = recipe.decay_every();
  Json json = Json::object();
  for (const RecipeField& field : fields)
    if (field.written == nullptr || field.written(r))
      std::visit([&](auto member) { json[field.name] = r.*member; }, field.member);
  return json;
}

std::string recipe_text(const Recipe& recipe) {
  return to_json(recipe).dump();
}

Recipe partial_recipe(const std::string& recorded, const std::string& where) {
  const Json json = Json::parse(recorded);
  REPRISE_CHECK(json.is_object(), "{}: damaged: its recipe", where);
  Recipe r;
  for (const RecipeField& field : fields) {
    const bool read =
        std::visit([&](auto member) { return read_field(json, field.name, r.*member); }, field.member);
    REPRISE_CHECK(read, "{}: damaged: '{}' of the recipe is {}", where, field.name, json[field.name].dump());
  }
  return r;
}

Recipe complete_recipe(const std::string& recorded, const std::string& where) {
  const Json json = Json::parse(recorded);
  for (const RecipeField& field : fields)
    REPRISE_CHECK(field.written != nullptr || json.contains(field.name),
                  "{}: damaged: the recipe has no '{}'", where, field.name);
  Recipe r = partial_recipe(recorded, where);
  try {
    check(r);
  } catch (const BadValue& e) {
    throw_error("{}: damaged: '{}' of the recipe is {}: expected {}", where, e.field,
                e.value.empty() ? "empty" : e.value, e.expected);
  }
  // A value that this version does not know cannot be trained as the run was.
  const Json known = to_json(r);
  for (const auto& [key, value] : json.items())
    REPRISE_CHECK(known.contains(key), "{}: this clr does not know '{}' of the recipe", where, key);
  return r;
}

std::vector<std::pair<std::string, std::string>> recorded_fields(const std::string& recorded) {
  std::vector<std::pair<std::string, std::string>> list;
  const Json json = Json::parse(recorded);
  for (const auto& [key, value] : json.items())
    list.emplace_back(key, value.is_string() ? value.get<std::string>() : value.dump());
  return list;
}

void check(const Recipe& r) {
  for (const RecipeField& field : fields)
    std::visit(
        [&](auto member) {
          if (field.expected != nullptr && !is_possible(r.*member, field))
            throw BadValue(field.name, fmt::format("{}", r.*member), field.expected);
        },
        field.member);
}

void check_same_recipe(const std::string& recorded, const std::string& wanted, const std::string& where) {
  const auto then = recorded_fields(recorded), now = recorded_fields(wanted);
  const auto text = [](const auto& list, const std::string& key) -> std::string {
    for (const auto& [name, value] : list)
      if (name == key && !value.empty()) return value;
    return "(not given)";
  };
  for (const auto* list : {&now, &then})
    for (const auto& [key, value] : *list)
      REPRISE_CHECK(
          text(then, key) == text(now, key),
          "{}: this run was begun with another --{}\n  run     {}\n  now     {}\nA run folder is one "
          "backbone, method and recipe: choose another --run, or start anew with --restart",
          where, key, text(then, key), text(now, key));
}

data::SetOptions sets_of(const Recipe& recipe) {
  data::SetOptions sets;
  sets.val_fraction = recipe.val_fraction;
  sets.max_images = recipe.max_images;
  sets.skip_bad = recipe.skip_bad;
  return sets;
}

}  // namespace reprise::clr
