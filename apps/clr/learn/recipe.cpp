#include "apps/clr/learn/recipe.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/core/check.h"

namespace reprise::clr {

Json to_json(const Recipe& r) {
  Json json = {{"method", r.method},
               {"size", r.size},
               {"epochs", r.epochs},
               {"batch", r.batch},
               {"lr", r.lr},
               {"lr-step", r.decay_every()},
               {"gamma", r.gamma},
               {"penalty", r.penalty},
               {"lambda", r.lambda},
               {"patience", r.patience},
               {"optimizer", r.optimizer},
               {"val-fraction", r.val_fraction},
               {"max-images", r.max_images},
               {"skip-bad", r.skip_bad},
               {"steps", r.steps},
               {"seed", r.seed},
               {"device", r.device},
               {"dtype", r.dtype},
               {"init", r.init_sha256},
               {"order", r.order_sha256}};
  if (r.optimizer == "sgd") json["momentum"] = r.momentum;
  if (r.weight_decay != 0) json["weight-decay"] = r.weight_decay;
  if (r.schedule != "step") json["schedule"] = r.schedule;
  if (r.rng != "streams") json["rng"] = r.rng;
  return json;
}

Recipe recipe_of(const Json& recorded, const std::string& where) {
  Recipe r;
  const auto read = [&](const char* key, auto& value, bool may_be_absent = false) {
    if (may_be_absent && !recorded.contains(key)) return;
    REPRISE_CHECK(recorded.contains(key), "{}: damaged: the recipe has no '{}'", where, key);
    try {
      recorded[key].get_to(value);
    } catch (const Json::exception&) {
      throw_error("{}: damaged: '{}' of the recipe is {}", where, key, recorded[key].dump());
    }
  };
  read("method", r.method);
  read("size", r.size);
  read("epochs", r.epochs);
  read("batch", r.batch);
  read("lr", r.lr);
  read("lr-step", r.lr_step);
  read("gamma", r.gamma);
  read("penalty", r.penalty);
  read("lambda", r.lambda);
  read("patience", r.patience);
  read("optimizer", r.optimizer);
  read("val-fraction", r.val_fraction);
  read("max-images", r.max_images);
  read("skip-bad", r.skip_bad);
  read("steps", r.steps);
  read("seed", r.seed);
  read("device", r.device);
  read("dtype", r.dtype);
  read("init", r.init_sha256);
  read("order", r.order_sha256);
  read("momentum", r.momentum, true);
  read("weight-decay", r.weight_decay, true);
  read("schedule", r.schedule, true);
  read("rng", r.rng, true);
  // What this version does not know would be trained otherwise than the run was.
  const Json known = to_json(r);
  for (const auto& [key, value] : recorded.items())
    REPRISE_CHECK(known.contains(key), "{}: this clr does not know '{}' of the recipe", where, key);
  return r;
}

void check(const Recipe& r) {
  const auto in_range = [](bool ok, const char* option, const auto& value, const char* range) {
    if (!ok) throw UsageError(fmt::format("--{} {}: expected {}", option, value, range));
  };
  const auto one_of = [](const std::string& value, const char* option,
                         std::initializer_list<const char*> known) {
    if (std::find(known.begin(), known.end(), value) == known.end())
      throw UsageError(fmt::format("--{} {}: expected one of {}", option, value, fmt::join(known, ", ")));
  };
  in_range(r.size >= 0 && r.size <= 8192, "size", r.size, "1 to 8192 pixels");
  in_range(r.epochs >= 0, "epochs", r.epochs, "0 or more");
  in_range(r.batch >= 1, "batch", r.batch, "1 or more");
  in_range(std::isfinite(r.lr) && r.lr > 0, "lr", r.lr, "a number above 0");
  in_range(r.lr_step >= 0, "lr-step", r.lr_step, "1 or more epochs");
  in_range(std::isfinite(r.gamma) && r.gamma > 0, "gamma", r.gamma, "a number above 0");
  in_range(std::isfinite(r.lambda) && r.lambda >= 0, "lambda", r.lambda, "0 or more");
  in_range(r.patience >= 0, "patience", r.patience, "0 or more epochs");
  in_range(r.momentum >= 0 && r.momentum < 1, "momentum", r.momentum, "a number in [0,1)");
  in_range(std::isfinite(r.weight_decay) && r.weight_decay >= 0, "weight-decay", r.weight_decay, "0 or more");
  in_range(r.val_fraction > 0 && r.val_fraction < 1, "val-fraction", r.val_fraction,
           "a number between 0 and 1");
  in_range(r.max_images >= 0, "max-images", r.max_images, "1 or more");
  in_range(r.steps >= 0, "steps", r.steps, "1 or more");
  one_of(r.penalty, "penalty", {"l2", "l1", "l12", "none"});
  one_of(r.optimizer, "optimizer", {"adam", "sgd"});
  one_of(r.rng, "rng", {"streams", "torch"});
  one_of(r.schedule, "schedule", {"step", "cosine"});
}

void check_same_recipe(const Json& recorded, const Json& wanted, const std::string& where) {
  const auto text = [](const Json& json, const std::string& key) {
    if (!json.contains(key)) return std::string("(not given)");
    const Json& value = json[key];
    if (value.is_string()) return value.get<std::string>().empty() ? "(not given)" : value.get<std::string>();
    return value.dump();
  };
  const auto compare = [&](const std::string& key) {
    REPRISE_CHECK(text(recorded, key) == text(wanted, key),
                  "{}: this run was begun with another --{}\n  run     {}\n  now     {}\nA run folder is one "
                  "backbone, method and recipe: choose another --run, or start anew with --restart",
                  where, key, text(recorded, key), text(wanted, key));
  };
  for (const auto& [key, value] : wanted.items()) compare(key);
  for (const auto& [key, value] : recorded.items()) compare(key);
}

}  // namespace reprise::clr
