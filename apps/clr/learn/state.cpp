#include "apps/clr/learn/state.h"

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "data/weights/weight_file.h"
#include "engine/core/check.h"

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

std::optional<double> number_unless_null(const Json& json) {
  return json.is_null() ? std::nullopt : std::optional(json.get<double>());
}

Json numbers_of(const TrainState& s) {
  Json json = {{"epoch", s.epoch},
               {"step", s.step},
               {"steps", s.steps},
               {"loss_sum", s.loss_sum},
               {"seconds", s.seconds},
               {"correct", s.correct},
               {"seen", s.seen},
               {"best_epoch", s.best_epoch},
               {"best_val", number_or_null(s.best_val)},
               {"best_train", number_or_null(s.best_train)},
               {"log", s.log}};
  if (!s.generator.empty()) json["generator"] = s.generator;
  return json;
}

TrainState state_of(const Json& json) {
  TrainState s;
  s.epoch = json.at("epoch").get<int>();
  s.step = json.at("step").get<std::int64_t>();
  s.steps = json.at("steps").get<std::int64_t>();
  s.loss_sum = json.at("loss_sum").get<double>();
  s.seconds = json.at("seconds").get<double>();
  s.correct = json.at("correct").get<std::int64_t>();
  s.seen = json.at("seen").get<std::int64_t>();
  s.best_epoch = json.at("best_epoch").get<int>();
  s.best_val = number_unless_null(json.at("best_val"));
  s.best_train = number_unless_null(json.at("best_train"));
  s.generator = json.value("generator", "");
  s.log = json.at("log").get<std::vector<std::string>>();
  return s;
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
                  "state: tensor {} is missing or another", entry.name);
    copy_into(*entry.tensor, found->second->to(entry.tensor->device()));
  }
}

void save_state(const std::string& path, const TrainState& state, const Training& training,
                const Json& context) {
  std::vector<data::NamedTensor> tensors;
  add(tensors, "now/", training.now);
  add(tensors, "best/", state.best);
  add(tensors, "optimizer/", training.optimizer);
  data::write_safetensors(
      path, tensors,
      {{"format", state_format}, {"context", canonical(context)}, {"state", canonical(numbers_of(state))}});
}

std::optional<std::pair<TrainState, Training>> load_state(const std::string& path, const Json& context) {
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
    check_context(path, Json::parse(text("context")), context);
    TrainState state = state_of(Json::parse(text("state")));
    state.best = take(file, "best/");
    return std::pair{std::move(state), Training{take(file, "now/"), take(file, "optimizer/")}};
  } catch (const nlohmann::json::exception& e) {
    throw_error("{}: a damaged training state: {}", path, e.what());
  }
}

}  // namespace reprise::clr
