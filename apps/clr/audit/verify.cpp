// clr audit verify: trains a run again from its own run.json and compares the task files byte for byte.
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "apps/clr/audit/cost.h"
#include "apps/clr/audit/differences.h"
#include "apps/clr/audit/parts.h"
#include "apps/clr/commands/signals.h"
#include "apps/clr/learn/backbone_search.h"
#include "apps/clr/learn/session.h"
#include "apps/clr/learn/table.h"
#include "data/image/image.h"
#include "data/io/file.h"
#include "data/weights/weight_file.h"
#include "engine/core/check.h"
#include "engine/core/sha256.h"

namespace reprise::clr {
namespace {

namespace fs = std::filesystem;

struct VerifyOptions {
  std::string run, data, backbone, scratch;
  std::vector<std::string> tasks;
  bool anyway = false;
};

// What the run recorded of its surroundings, and what is here. `needed`: without it the bits need not be
// equal.
struct Condition {
  std::string name, recorded, here;
  bool needed = true;
  bool met() const { return recorded == here; }
};

struct Verdict {
  std::string task;
  std::string difference;  // empty: the same bytes
  std::uintmax_t bytes = 0;
};

// A folder of its own, removed at the end.
class ScratchFolder {
 public:
  explicit ScratchFolder(const std::string& parent) {
    std::error_code error;
    const fs::path base = parent.empty() ? fs::temp_directory_path(error) : fs::path(parent);
    std::string pattern = (base / "clr-verify-XXXXXX").string();
    REPRISE_CHECK(!error && mkdtemp(pattern.data()) != nullptr,
                  "{}: no scratch folder can be made there; choose another with --scratch", base.string());
    path_ = pattern;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

// The value of an option in a recorded command line; empty where it is not there.
std::string option_of(const Json& argv, const std::string& option) {
  for (std::size_t i = 0; i < argv.size(); ++i) {
    const std::string word = argv[i].is_string() ? argv[i].get<std::string>() : "";
    if (word == option && i + 1 < argv.size() && argv[i + 1].is_string())
      return argv[i + 1].get<std::string>();
    if (word.starts_with(option + "=")) return word.substr(option.size() + 1);
  }
  return {};
}

class Verification {
 public:
  Verification(const VerifyOptions& options, Common common)
      : options_(options), common_(std::move(common)), folder_(options.run), record_(folder_.record()) {
    const std::string where = options.run + "/run.json";
    recipe_ = recipe_of(record_["recipe"], where);
    REPRISE_CHECK(record_.contains("invocations") && record_["invocations"].is_array() &&
                      !record_["invocations"].empty(),
                  "{}: damaged: no invocations", where);
    choose_tasks();
    data_ = options.data.empty() ? recorded_option("--data") : options.data;
    REPRISE_CHECK(!data_.empty(), "{}: does not say where the images were; give --data", where);
    REPRISE_CHECK(fs::exists(data_), "{}: the images' place{} is not here{}", data_,
                  options.data.empty() ? " as the run recorded it" : "",
                  options.data.empty() ? "; give --data" : "");
    choose_device();
  }

  void run() {
    common_.begin();
    tell_cost();
    check_surroundings();
    const Backbone backbone = load();
    if (refused()) return;
    const ScratchFolder scratch(options_.scratch);
    for (const std::string& task : tasks_) {
      Session session(backbone, session_options(task, scratch.path()));
      session.prepare();
      if (!check_data(task, session.plan())) continue;
      session.run();
      const std::string again = RunFolder(scratch.path()).task_file(task);
      verdicts_.push_back({task, compare(folder_.task_file(task), again), fs::file_size(again)});
    }
  }

  bool same() const {
    return !refused() && verdicts_.size() == tasks_.size() &&
           std::all_of(verdicts_.begin(), verdicts_.end(),
                       [](const Verdict& v) { return v.difference.empty(); });
  }
  void print_result() const;

 private:
  std::string recorded_option(const std::string& option) const {
    std::set<std::string> values;
    for (const Json& i : record_["invocations"])
      if (const std::string value = option_of(i.value("argv", Json::array()), option); !value.empty())
        values.insert(value);
    REPRISE_CHECK(values.size() <= 1,
                  "{}: was called with several {}: {}\nGive one with {} and its tasks with --tasks",
                  options_.run, option, fmt::join(values, ", "), option);
    return values.empty() ? "" : *values.begin();
  }

  void choose_tasks() {
    const auto finished = folder_.finished_tasks();
    tasks_ = options_.tasks.empty() ? finished : options_.tasks;
    REPRISE_CHECK(!tasks_.empty(), "{}: no task has been learned here yet", options_.run);
    for (const std::string& task : tasks_)
      REPRISE_CHECK(std::find(finished.begin(), finished.end(), task) != finished.end(),
                    "{}: has no finished task '{}'; it has {}", options_.run, task,
                    finished.empty() ? "none" : fmt::format("{}", fmt::join(finished, ", ")));
  }

  // The run's own device and dtype; of a GPU --device may choose another number.
  void choose_device() {
    const std::string kind = common_.device.substr(0, common_.device.find(':'));
    if (!kind.empty() && kind != recipe_.device)
      throw UsageError(
          fmt::format("--device {}: this run was trained on {}, and only there its bits can be "
                      "expected again",
                      common_.device, recipe_.device));
    if (kind.empty()) common_.device = recipe_.device;
    common_.dtype = recipe_.dtype;
    common_.tf32 = record_["invocations"].back().value("tf32", false);
    const std::string order = record_["invocations"].back().value("bf16_order", "-");
    if (common_.bf16_order.empty() && order != "-") common_.bf16_order = order;
  }

  void tell_cost() const {
    double seconds = 0;
    std::int64_t images = 0;
    for (const std::string& task : tasks_) {
      std::ifstream log(folder_.log_file(task));
      std::string line;
      for (std::getline(log, line); std::getline(log, line);)
        if (const auto fields = csv_fields(line); fields.size() == 7)
          seconds += std::strtod(fields[6].c_str(), nullptr);
      images += record_["tasks"][task].value("train_images", std::int64_t{0});
    }
    clr::tell_cost(common_,
                   fmt::format("trains {} task{} again in a scratch folder, {} images, at most {} epochs; "
                               "the first time took {} in all",
                               tasks_.size(), tasks_.size() == 1 ? "" : "s", grouped(images), recipe_.epochs,
                               duration_text(seconds)));
  }

  void condition(const std::string& name, const std::string& recorded, const std::string& here,
                 bool needed = true) {
    conditions_.push_back({name, recorded.empty() ? "(not recorded)" : recorded, here, needed});
  }

  // What one of the run's invocations says, where all say the same; else all of it.
  std::string recorded_fact(const std::string& key) const {
    std::set<std::string> values;
    for (const Json& i : record_["invocations"]) values.insert(i.value(key, ""));
    return fmt::format("{}", fmt::join(values, " and "));
  }

  void check_surroundings() {
    const Device device = common_.resolved_device();
    condition("instruction set", recorded_fact("instruction_set"), instruction_set(device));
    condition("winograd", recorded_fact("winograd"), winograd_state(device));
    if (const std::string order = recorded_fact("bf16_order"); !order.empty())
      condition("bf16 order", order, bf16_order_state(device, common_.resolved_dtype()));
    // Another build or decoder may well give the same bits; if not, here is a reason.
    condition("version", recorded_fact("version"), version(), false);
    condition("compiler", recorded_fact("compiler"), compiler(), false);
    condition("flags", recorded_fact("flags"), build_flags(), false);
    condition("decoders", recorded_fact("decoders"), data::decoder_versions(), false);
    for (const auto& [option, wanted] :
         {std::pair("--init", recipe_.init_sha256), std::pair("--order", recipe_.order_sha256)}) {
      if (wanted.empty()) continue;
      const std::string path = recorded_option(option);
      std::string here;
      try {
        here = sha256_hex(data::read_file(path));
      } catch (const Error& e) {
        here = first_line(e.what());
      }
      condition("file of " + std::string(option), wanted, here);
    }
  }

  Backbone load() {
    const Json& b = record_["backbone"];
    TaskFile wanted;  // what find_backbone goes by
    wanted.path = folder_.task_file(tasks_.front());
    wanted.method = recipe_.method;
    wanted.arch = b.value("arch", "");
    wanted.backbone_identity = b.value("identity", "");
    Backbone backbone =
        backbone_of(wanted, options_.backbone, common_.resolved_device(), common_.resolved_dtype());
    condition("backbone", b.value("identity", ""), backbone.identity);
    if (!backbone.is_none()) condition("backbone's file", b.value("file_sha256", ""), backbone.file_sha256);
    return backbone;
  }

  std::vector<const Condition*> unmet() const {
    std::vector<const Condition*> list;
    for (const Condition& c : conditions_)
      if (c.needed && !c.met()) list.push_back(&c);
    return list;
  }
  bool refused() const { return !options_.anyway && !unmet().empty(); }

  SessionOptions session_options(const std::string& task, const std::string& scratch) const {
    SessionOptions s;
    s.recipe = recipe_;
    s.data = data_;
    s.run = scratch;
    s.tasks = {task};
    if (!recipe_.init_sha256.empty()) s.init = recorded_option("--init");
    if (!recipe_.order_sha256.empty()) s.order = recorded_option("--order");
    s.quiet = common_.quiet;
    const Json argv = record_["invocations"].front().value("argv", Json::array());
    s.clip_grey16 = argv.size() > 1 && argv[1] == "reproduce";
    s.argv = arguments_of_process();
    return s;
  }

  // Whether the images are those that the task was learned from.
  bool check_data(const std::string& task, const Json& plan) {
    const Json recorded = record_["tasks"][task].value("digests", Json::object());
    const Json here = plan["tasks"][0]["digests"];
    bool same = true;
    for (const char* split : {"train", "val", "test"}) {
      const std::string before = recorded.value(split, "(none)"), now = here.value(split, "(none)");
      if (before == now) continue;
      condition(fmt::format("data of {}, {}", task, split), before, now);
      same = false;
    }
    return same || options_.anyway;
  }

  static std::string compare(const std::string& first, const std::string& again);

  const VerifyOptions& options_;
  Common common_;
  RunFolder folder_;
  Json record_;
  Recipe recipe_;
  std::vector<std::string> tasks_;
  std::string data_;
  std::vector<Condition> conditions_;
  std::vector<Verdict> verdicts_;
};

// Empty where the files have the same bytes, else the first tensor that differs, or what else does.
std::string Verification::compare(const std::string& first, const std::string& again) {
  if (data::read_file(first) == data::read_file(again)) return {};
  data::WeightFile before;
  try {
    before = data::read_weights(first);
  } catch (const Error& e) {
    return "the run's file cannot be read: " + std::string(e.what());
  }
  const data::WeightFile now = data::read_weights(again);
  std::string found;
  int differing = 0;
  for (const auto& [name, tensor] : now.tensors) {
    const Tensor* old = before.find(name);
    std::string what;
    if (old == nullptr) {
      what = "is not in the run's file";
    } else if (old->shape() != tensor.shape() || old->dtype() != tensor.dtype()) {
      what = fmt::format("was {} and is {}", describe(*old), describe(tensor));
    } else if (const auto d = first_difference(old->view(), tensor.view())) {
      what = d->text(tensor.shape());
    }
    if (!what.empty() && differing++ == 0) found = name + ": " + what;
  }
  if (differing > 0)
    return differing == 1 ? found : fmt::format("{}; {} tensors differ in all", found, differing);
  for (const auto& [name, tensor] : before.tensors)
    if (now.find(name) == nullptr) return name + ": only in the run's file";
  for (const auto& [key, value] : now.metadata) {
    const auto old = before.metadata.find(key);
    if (old == before.metadata.end() || old->second != value)
      return fmt::format("metadata '{}' was {} and is {}", key,
                         old == before.metadata.end() ? "absent" : old->second, value);
  }
  return "the same tensors in other bytes";
}

void Verification::print_result() const {
  if (common_.json) {
    Json conditions = Json::array(), tasks = Json::array();
    for (const Condition& c : conditions_)
      conditions.push_back({{"name", c.name},
                            {"recorded", c.recorded},
                            {"here", c.here},
                            {"needed", c.needed},
                            {"met", c.met()}});
    for (const Verdict& v : verdicts_)
      tasks.push_back({{"name", v.task},
                       {"bytes", v.bytes},
                       {"same", v.difference.empty()},
                       {"difference", v.difference}});
    return print_json(
        {{"run", options_.run}, {"same", same()}, {"conditions", conditions}, {"tasks", tasks}});
  }
  Table table({"task", "bytes", "trained again"}, {true, false, true});
  for (const Verdict& v : verdicts_)
    table.row({v.task, grouped(static_cast<std::int64_t>(v.bytes)),
               v.difference.empty() ? "the same bytes" : v.difference});
  if (!verdicts_.empty()) print(table.text());
  for (const Condition& c : conditions_)
    if (!c.met() && (c.needed || !same()))
      print(fmt::format("{}: {}\n  recorded  {}\n  here      {}\n",
                        c.needed ? "condition not met" : "differs, and may be the reason", c.name, c.recorded,
                        c.here));
  if (refused()) print("nothing was compared under other conditions; --anyway does it all the same\n");
}

}  // namespace

void add_audit_verify(CLI::App& audit, Common& common) {
  CLI::App& c = add_command(audit, common, "verify",
                            "train a run again from its own record and compare task files byte for byte");
  const auto o = std::make_shared<VerifyOptions>();
  c.add_option("run", o->run, "run folder")->required();
  c.add_option("--data", o->data, "its images (default: where the run found them)");
  c.add_option("--backbone", o->backbone, "its backbone (default: the one the run names)");
  c.add_option("--tasks", o->tasks, "only these, divided by commas")->delimiter(',');
  c.add_option("--scratch", o->scratch, "folder to train in (default: the system's temporary one)");
  c.add_flag("--anyway", o->anyway, "compare also where a recorded condition is not met here");
  c.callback([o, &common] {
    const SignalGuard signals;
    Verification verification(*o, common);
    try {
      verification.run();
    } catch (const Interrupted&) {
      throw Interrupted(pending_signal(), "interrupted; the scratch folder is gone, the run as it was");
    }
    verification.print_result();
    if (!verification.same()) common.exit_status = 1;
  });
}

}  // namespace reprise::clr
