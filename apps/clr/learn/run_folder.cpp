#include "apps/clr/learn/run_folder.h"

#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/clr/learn/recipe.h"
#include "data/io/file.h"
#include "engine/core/check.h"

namespace reprise::clr {
namespace {

namespace fs = std::filesystem;
constexpr const char* run_format = "reprise run 1";

// A task's name as a file name: what a folder or a hidden file could be mistaken for is written as %XX.
std::string file_name(const std::string& task) {
  std::string name;
  for (std::size_t i = 0; i < task.size(); ++i) {
    const auto c = static_cast<unsigned char>(task[i]);
    if (c == '/' || c == '%' || c < 0x20 || (c == '.' && i == 0))
      name += fmt::format("%{:02X}", c);
    else
      name += static_cast<char>(c);
  }
  return name;
}

// Whether what an object holds under the keys of `sample` has the types that are there.
bool fits(const Json& object, const Json& sample) {
  if (!object.is_object()) return false;
  for (const auto& [key, value] : sample.items()) {
    if (!object.contains(key)) continue;
    const Json& given = object[key];
    const bool same = value.is_number_integer() ? given.is_number_integer()
                      : value.is_number()       ? given.is_number()
                                                : given.type() == value.type();
    if (!same) return false;
  }
  return true;
}

// Nothing where run.json can be used, else what is wrong with it.
std::string damage_of(const Json& json) {
  if (!json.is_object() || !json.contains("format") || json["format"] != run_format)
    return "or of another version";
  const Json backbone = {{"path", ""}, {"copy", ""},      {"file_sha256", ""}, {"identity", ""},
                         {"arch", ""}, {"parameters", 0}, {"bytes", 0}},
             task = {{"classes", 0}, {"train_images", 0}, {"val_images", 0}, {"test_images", 0}};
  for (const char* key : {"backbone", "recipe", "tasks", "invocations"})
    if (!json.contains(key)) return fmt::format("no {}", key);
  if (!fits(json["backbone"], backbone)) return "its backbone";
  if (!fits(json["recipe"], to_json(Recipe{}))) return "its recipe";
  if (!json["tasks"].is_object()) return "its tasks";
  for (const auto& [name, facts] : json["tasks"].items())
    if (!fits(facts, task)) return fmt::format("its task {}", name);
  if (!json["invocations"].is_array()) return "its invocations";
  for (const Json& invocation : json["invocations"])
    if (!invocation.is_object()) return "its invocations";
  return {};
}

void make_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  REPRISE_CHECK(!error && fs::is_directory(path), "{}: cannot make this folder: {}", path,
                error ? error.message() : "something else has its name");
}

}  // namespace

std::string RunFolder::task_file(const std::string& task) const {
  return path_ + "/tasks/" + file_name(task) + ".safetensors";
}
std::string RunFolder::state_file(const std::string& task) const {
  return path_ + "/state/" + file_name(task) + ".state";
}
std::string RunFolder::log_file(const std::string& task) const {
  return path_ + "/log/" + file_name(task) + ".csv";
}
std::string RunFolder::cache_dir() const {
  return path_ + "/cache";
}

bool RunFolder::exists() const {
  return fs::exists(path_ + "/run.json");
}

Json RunFolder::record() const {
  const std::string file = path_ + "/run.json";
  REPRISE_CHECK(exists(), "{}: not a run folder of clr (no run.json in it)", path_);
  const auto bytes = data::read_file(file, 256 << 20);
  const Json json = Json::parse(reinterpret_cast<const char*>(bytes.data()),
                                reinterpret_cast<const char*>(bytes.data()) + bytes.size(), nullptr,
                                /*allow_exceptions=*/false);
  const std::string damage = damage_of(json);
  REPRISE_CHECK(damage.empty(), "{}: damaged: {}", file, damage);
  return json;
}

void RunFolder::check_same(const Json& backbone, const Json& recipe) const {
  const Json record = this->record();
  const Json& before = record["backbone"];
  REPRISE_CHECK(
      before.value("identity", "") == backbone.value("identity", ""),
      "{}: this run was begun with another --backbone\n  run     {}  ({})\n  now     {}  ({})\nA run folder "
      "is one backbone, method and recipe: choose another --run, or start anew with --restart",
      path_, before.value("path", ""), before.value("identity", "").substr(0, 12), backbone.value("path", ""),
      backbone.value("identity", "").substr(0, 12));
  check_same_recipe(record["recipe"], recipe, path_);
}

template <class Change>
void RunFolder::update(Change change) {
  const FileLock lock = FileLock::wait(path_ + "/run.lock");
  Json json = exists() ? record() : Json();
  change(json);
  data::write_file_atomically(path_ + "/run.json", json.dump(2) + "\n");
}

std::size_t RunFolder::begin(const Json& backbone, const Json& recipe, Json invocation) {
  for (const char* folder : {"", "/tasks", "/state", "/log"}) {
    make_folder(path_ + folder);
    data::remove_abandoned_files(path_ + folder);
  }
  data::remove_abandoned_files(cache_dir());
  std::size_t place = 0;
  update([&](Json& json) {
    if (json.is_null())
      json = {{"format", run_format},
              {"backbone", backbone},
              {"recipe", recipe},
              {"tasks", Json::object()},
              {"invocations", Json::array()}};
    else
      check_same(backbone, recipe);
    if (backbone.contains("copy")) json["backbone"]["copy"] = backbone["copy"];
    invocation["started"] = timestamp();
    place = json["invocations"].size();
    json["invocations"].push_back(invocation);
  });
  return place;
}

void RunFolder::end(std::size_t invocation, const std::string& how) {
  update([&](Json& json) {
    json["invocations"][invocation]["ended"] = timestamp();
    json["invocations"][invocation]["how"] = how;
  });
}

void RunFolder::add_task(const std::string& name, const Json& facts) {
  update([&](Json& json) { json["tasks"][name] = facts; });
}

bool RunFolder::is_finished(const std::string& task) const {
  return fs::exists(task_file(task));
}

std::string RunFolder::lock_file(const std::string& task) const {
  return path_ + "/state/" + file_name(task) + ".lock";
}

std::optional<FileLock> RunFolder::claim(const std::string& task) const {
  return FileLock::try_lock(lock_file(task));
}

void RunFolder::tidy(const std::string& task) const {
  if (!fs::exists(state_file(task)) && !fs::exists(lock_file(task))) return;
  if (auto lock = claim(task)) {
    std::error_code ignored;  // it is in nobody's way
    fs::remove(state_file(task), ignored);
    lock->remove();
  }
}

std::vector<std::string> RunFolder::finished_tasks() const {
  std::vector<std::string> names;
  const Json json = record();
  for (const auto& [name, facts] : json["tasks"].items())
    if (is_finished(name)) names.push_back(name);
  return names;
}

void RunFolder::restart() const {
  std::error_code error;
  if (!fs::exists(path_) || fs::is_empty(path_, error)) return;
  const Json json = record();
  std::vector<std::string> files;
  for (const auto& [name, facts] : json["tasks"].items()) {
    // Also a task that another process is just learning.
    REPRISE_CHECK(!fs::exists(path_ + "/state") || claim(name), "{}: another process is learning {} here",
                  path_, name);
    for (const auto& file : {task_file(name), state_file(name), log_file(name)}) files.push_back(file);
    files.push_back(lock_file(name));
  }
  if (const std::string copy = json["backbone"].value("copy", ""); !copy.empty())
    files.push_back(path_ + "/" + fs::path(copy).filename().string());
  for (const char* name : {"/results.csv", "/matrix.csv", "/predictions.csv", "/run.json", "/run.lock"})
    files.push_back(path_ + name);
  for (const auto& entry : fs::directory_iterator(cache_dir(), error))
    if (entry.path().extension() == ".pixels") files.push_back(entry.path().string());
  for (const auto& file : files) {
    fs::remove(file, error);
    REPRISE_CHECK(!error, "{}: cannot be removed: {}", file, error.message());
  }
  data::remove_abandoned_files(path_);
  // Only those that are empty now.
  for (const auto& folder : {path_ + "/tasks", path_ + "/state", path_ + "/log", cache_dir()}) {
    data::remove_abandoned_files(folder);
    fs::remove(folder, error);
  }
}

std::string timestamp() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

}  // namespace reprise::clr
