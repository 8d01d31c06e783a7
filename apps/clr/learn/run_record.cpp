#include "apps/clr/learn/run_record.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/clr/learn/json_fields.h"
#include "apps/clr/learn/recipe.h"
#include "data/io/file.h"
#include "engine/base/check.h"
#include "engine/base/utf8.h"

namespace reprise::clr {
namespace {

// Version 1 was rewritten by every call, and held what now lies in the task files and in log/.
constexpr const char *run_format = "reprise run 2", *older_format = "reprise run 1";

Json parsed(const std::string& path) {
  const auto bytes = data::read_file(path, 256 << 20);
  const auto* text = reinterpret_cast<const char*>(bytes.data());
  return Json::parse(text, text + bytes.size(), nullptr, /*allow_exceptions=*/false);
}

// Returns the value of an option in a command line; empty if the option is absent.
std::string option_of(const std::vector<std::string>& argv, const std::string& option) {
  for (std::size_t i = 0; i < argv.size(); ++i) {
    if (argv[i] == option && i + 1 < argv.size()) return argv[i + 1];
    if (argv[i].starts_with(option + "=")) return argv[i].substr(option.size() + 1);
  }
  return {};
}

// Call f(key, member) for every field of the record that files hold.
template <class F>
void for_each_field(RecordedBackbone& b, F f) {
  f("path", b.path), f("file_sha256", b.file_sha256), f("identity", b.identity), f("arch", b.arch);
  f("parameters", b.parameters), f("bytes", b.bytes), f("copy", b.copy);
}
template <class F>
void for_each_field(RecordedTask& t, F f) {
  f("classes", t.classes), f("train_images", t.train_images), f("val_images", t.val_images);
  f("test_images", t.test_images), f("digests", t.digests);
}
template <class F>
void for_each_field(Invocation& i, F f) {
  f("host", i.host), f("job", i.job), f("pid", i.pid), f("tasks", i.tasks);
  f("argv", i.argv), f("version", i.version), f("compiler", i.compiler), f("flags", i.flags);
  f("device", i.device), f("instruction_set", i.instruction_set), f("winograd", i.winograd);
  f("bf16_order", i.bf16_order), f("tf32", i.tf32), f("threads", i.threads), f("decoders", i.decoders);
  f("data", i.data), f("init", i.init), f("order", i.order), f("clip_grey16", i.clip_grey16);
  f("follow_links", i.follow_links);
  f("started", i.started), f("ended", i.ended), f("how", i.how), f("signal", i.signal);
}

// Texts may hold paths of any bytes: the file has them escaped.
template <class Value>
bool read_escaped(const Json& json, const char* key, Value& value) {
  if (!read_field(json, key, value)) return false;
  if constexpr (std::is_same_v<Value, std::string>) value = unescaped(value);
  if constexpr (std::is_same_v<Value, std::vector<std::string>>)
    for (std::string& text : value) text = unescaped(text);
  return true;
}

// Reads all fields. Returns false if `json` is no object or a field has another type.
template <class Part>
bool read(const Json& json, Part& part) {
  bool ok = json.is_object();
  for_each_field(part, [&](const char* key, auto& value) { ok = ok && read_escaped(json, key, value); });
  return ok;
}

void take_from_command_line(Invocation& i) {
  i.data = option_of(i.argv, "--data");
  i.init = option_of(i.argv, "--init");
  i.order = option_of(i.argv, "--order");
  i.clip_grey16 = i.argv.size() > 1 && i.argv[1] == "reproduce";
}

// Reads all fields; one of another type counts as absent. Returns false if `json` is no object.
bool read(const Json& json, Invocation& i) {
  if (!json.is_object()) return false;
  for_each_field(i, [&](const char* key, auto& value) { read_escaped(json, key, value); });
  if (i.data.empty()) take_from_command_line(i);
  return true;
}

// Returns the fields as JSON, without the empty texts of a call and without an empty "copy".
template <class Part>
Json written(Part part) {
  Json json;
  for_each_field(part, [&](const std::string& key, const auto& value) {
    if constexpr (std::is_same_v<decltype(value), const std::string&>)
      if (value.empty() && (std::is_same_v<Part, Invocation> || key == "copy")) return;
    json[key] = value;
  });
  return json;
}

// Reads the record. Returns the part that is damaged, or nothing.
std::string damage_of(Json json, RunRecord& record) {
  const Json format = json.is_object() ? json.value("format", Json()) : Json();
  if (format != run_format && format != older_format)
    return fmt::format("its format is not '{}'; it may be of another version of clr", run_format);
  if (format == run_format) json["tasks"] = Json::object();
  for (const char* key : {"backbone", "recipe", "tasks", "invocations"})
    if (!json.contains(key)) return fmt::format("no {}", key);
  if (!read(json["backbone"], record.backbone)) return "its backbone";
  record.recipe = json["recipe"].dump();
  try {
    partial_recipe(record.recipe, "");
  } catch (const Error&) {
    return "its recipe";
  }
  if (!json["tasks"].is_object()) return "its tasks";
  for (const auto& [name, facts] : json["tasks"].items()) {
    RecordedTask& task = record.tasks.emplace_back();
    task.name = unescaped(name);
    if (!read(facts, task)) return fmt::format("its task {}", name);
  }
  if (!json["invocations"].is_array()) return "its invocations";
  for (const Json& invocation : json["invocations"])
    if (!read(invocation, record.invocations.emplace_back())) return "its invocations";
  return {};
}

}  // namespace

Json to_json(const RecordedBackbone& backbone) {
  return written(backbone);
}
Json to_json(const RecordedTask& task) {
  return written(task);
}

RunRecord read_run_record(const std::string& path) {
  RunRecord record;
  const std::string damage = damage_of(parsed(path), record);
  REPRISE_CHECK(damage.empty(), "{}: damaged: {}", path, damage);
  return record;
}

std::string text_of(const RunRecord& record) {
  Json json = {{"format", run_format}, {"invocations", Json::array()}};
  json["backbone"] = escaped_json(written(record.backbone));
  json["recipe"] = Json::parse(record.recipe);
  for (const Invocation& i : record.invocations) json["invocations"].push_back(escaped_json(written(i)));
  return json.dump(2) + "\n";
}

std::optional<Invocation> read_invocation(const std::string& path) {
  Invocation invocation;
  try {
    if (read(parsed(path), invocation) && !invocation.started.empty()) return invocation;
  } catch (const Error&) {  // it cannot be opened
  }
  return std::nullopt;
}

std::string text_of(const Invocation& invocation) {
  return escaped_json(written(invocation)).dump(2) + "\n";
}

RecordedBackbone read_recorded_backbone(const std::string& path) {
  RecordedBackbone backbone;
  try {
    const Json json = parsed(path);
    if (json.is_object() && json.contains("backbone")) read(json["backbone"], backbone);
  } catch (const Error&) {
    // There is no such file.
  }
  return backbone;
}

}  // namespace reprise::clr
