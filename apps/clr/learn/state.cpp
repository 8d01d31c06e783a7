#include "apps/clr/learn/state.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/clr/learn/json.h"
#include "data/weights/weight_file.h"
#include "engine/base/check.h"
#include "engine/base/log.h"

namespace reprise::clr {
namespace {

constexpr const char* state_format = "reprise training state 1";

void add(std::vector<data::NamedTensor>& to, const std::string& prefix, const Snapshot& snapshot) {
  for (const auto& [name, tensor] : snapshot) to.push_back({prefix + name, tensor});
}

Snapshot take(const data::WeightFile& file, const std::string& prefix) {
  Snapshot snapshot;
  for (const auto& [name, tensor] : file.tensors)
    if (name.starts_with(prefix)) snapshot.push_back({name.substr(prefix.size()), tensor});
  return snapshot;
}

// Calls f(key, member) for each member that the file holds as JSON.
template <class State, class F>
void for_each_number(State& s, F f) {
  f("epoch", s.epoch), f("step", s.step), f("steps", s.steps), f("loss_sum", s.loss_sum);
  f("seconds", s.seconds), f("correct", s.correct), f("seen", s.seen), f("best_epoch", s.best_epoch);
  f("log", s.log);
}

Json numbers_of(const TrainState& s) {
  Json json = {{"best_val", number_or_null(s.best_val)}, {"best_train", number_or_null(s.best_train)}};
  for_each_number(s, [&](const char* key, const auto& value) { json[key] = value; });
  if (!s.generator.empty()) json["generator"] = s.generator;
  return json;
}

TrainState state_of(const Json& json) {
  TrainState s;
  for_each_number(s, [&](const char* key, auto& value) { json.at(key).get_to(value); });
  if (!json.at("best_val").is_null()) s.best_val = json["best_val"].get<double>();
  if (!json.at("best_train").is_null()) s.best_train = json["best_train"].get<double>();
  s.generator = json.value("generator", "");
  return s;
}

Json to_json(const StateContext& c) {
  Json json = Json::object();
  const auto put = [&](const char* key, const std::string& text) {
    if (!text.empty()) json[key] = text;
  };
  put("task", c.task);
  put("architecture", c.architecture);
  put("backbone", c.backbone);
  if (!c.recipe.empty()) json["recipe"] = Json::parse(c.recipe);
  if (!c.data.empty()) json["data"] = c.data;
  put("winograd", c.winograd);
  put("bf16 order", c.bf16_order);
  put("instruction set", c.instruction_set);
  return json;
}

void check_context(const std::string& path, const Json& saved, const Json& wanted) {
  for (const auto& [key, value] : wanted.items())  // the order of keys says nothing
    REPRISE_CHECK(
        saved.contains(key) && canonical(saved[key]) == canonical(value),
        "{}: this half-learned task cannot go on: its {} differs\n  then    {}\n  now     {}\n--restart "
        "starts anew",
        path, key, saved.contains(key) ? saved[key].dump() : "(none)", value.dump());
}

}  // namespace

Snapshot take_snapshot(const std::vector<layers::Entry>& entries) {
  Snapshot snapshot;
  for (const auto& entry : entries) snapshot.push_back({entry.name, entry.tensor->clone().to(cpu_device)});
  return snapshot;
}

void restore_snapshot(const std::vector<layers::Entry>& entries, const Snapshot& snapshot) {
  std::map<std::string, const Tensor*> by_name;
  for (const auto& [name, tensor] : snapshot) by_name[name] = &tensor;
  REPRISE_CHECK(by_name.size() == entries.size(), "state: {} tensors, expected {}", by_name.size(),
                entries.size());
  for (const auto& entry : entries) {
    const auto found = by_name.find(entry.name);
    REPRISE_CHECK(found != by_name.end() && found->second->shape() == entry.tensor->shape() &&
                      found->second->dtype() == entry.tensor->dtype(),
                  "state: tensor {} is missing, or has another shape or dtype", entry.name);
    copy_into(*entry.tensor, found->second->to(entry.tensor->device()));
  }
}

void save_state(const std::string& path, const TrainState& state, const Training& training,
                const StateContext& context) {
  std::vector<data::NamedTensor> tensors;
  add(tensors, "now/", training.now);
  add(tensors, "best/", state.best);
  add(tensors, "optimizer/", training.optimizer);
  data::write_safetensors(path, tensors,
                          {{"format", state_format},
                           {"context", canonical(to_json(context))},
                           {"state", canonical(numbers_of(state))}});
}

std::optional<std::pair<TrainState, Training>> load_state(const std::string& path,
                                                          const StateContext& context) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  const data::WeightFile file = data::read_weights(path);
  const auto text = [&](const char* key) {
    const auto found = file.metadata.find(key);
    REPRISE_CHECK(found != file.metadata.end(), "{}: not a training state of clr", path);
    return found->second;
  };
  REPRISE_CHECK(text("format") == state_format, "{}: a training state of another version: {}", path,
                text("format"));
  try {
    const Json saved = Json::parse(text("context"));
    const std::string set = saved.value("instruction set", "");
    if (!set.empty() && set != context.instruction_set) {
      log_line(
          fmt::format("clr: {}: half learned with the instruction set {}, and here it is {}: this task "
                      "starts anew",
                      path, set, context.instruction_set));
      return std::nullopt;
    }
    check_context(path, saved, to_json(context));
    TrainState state = state_of(Json::parse(text("state")));
    state.best = take(file, "best/");
    return std::pair{std::move(state), Training{take(file, "now/"), take(file, "optimizer/")}};
  } catch (const nlohmann::json::exception& e) {
    throw_error("{}: a damaged training state: {}", path, e.what());
  }
}

}  // namespace reprise::clr
