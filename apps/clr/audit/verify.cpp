// clr audit verify: retrains a run from its own run.json and compares the task files byte for byte.
#include <unistd.h>

#include <set>
#include <tuple>

#include "apps/clr/audit/cost.h"
#include "apps/clr/audit/parts.h"
#include "apps/clr/audit/statistics.h"
#include "apps/clr/learn/session.h"
#include "apps/clr/learn/surroundings.h"
#include "apps/clr/learn/task_log.h"
#include "data/io/file.h"
#include "engine/base/sha256.h"

namespace reprise::clr {
namespace {

namespace fs = std::filesystem;

struct VerifyOptions {
  std::string run, data, backbone, scratch;
  std::vector<std::string> tasks;
  bool anyway = false;
};

// A condition as the run recorded it, and as it is here.
// `needed`: only if it is met, the same bits are promised.
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

// A new temporary folder, removed at the end.
struct ScratchFolder {
  explicit ScratchFolder(const std::string& parent) {
    std::error_code error;
    const fs::path base = parent.empty() ? fs::temp_directory_path(error) : fs::path(parent);
    path = (base / "clr-verify-XXXXXX").string();
    REPRISE_CHECK(!error && mkdtemp(path.data()) != nullptr,
                  "{}: no scratch folder can be made there; choose another with --scratch", base.string());
  }
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  std::string path;
};

class Verification {
 public:
  Verification(const VerifyOptions& options, Common common)
      : options_(options), common_(std::move(common)), folder_(options.run), record_(folder_.record()) {
    const std::string where = options.run + "/run.json";
    recipe_ = complete_recipe(record_.recipe, where);
    REPRISE_CHECK(!record_.invocations.empty(), "{}: damaged: no invocations", where);
    choose_tasks();
    data_ = options.data.empty() ? recorded_path("--data", &Invocation::data) : options.data;
    REPRISE_CHECK(!data_.empty(), "{}: does not say where the images were; give --data", where);
    REPRISE_CHECK(fs::exists(data_), "{}: the images' place{} is not here{}", data_,
                  options.data.empty() ? " as the run recorded it" : "",
                  options.data.empty() ? "; give --data" : "");
    if (!recipe_.init_sha256.empty()) init_ = recorded_path("--init", &Invocation::init);
    if (!recipe_.order_sha256.empty()) order_ = recorded_path("--order", &Invocation::order);
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
      Session session(backbone, session_options(task, scratch.path), progress_);
      session.prepare();
      session.decode_all();
      if (!check_data(task, session.plan())) continue;
      session.run();
      const std::string again = RunFolder(scratch.path).task_file(task);
      if (learned(task).files_digest.empty()) {  // a file of an older clr lacks these facts
        TaskFile file = read_task_file(again);
        file.images.clear(), file.files_digest.clear(), file.instruction_set.clear();
        write_task_file(again, file);
      }
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
  std::string recorded_path(const char* option, std::string Invocation::*field) const {
    std::set<std::string> values;
    std::string missing;  // a path that does not exist; it may be relative to another folder
    for (const Invocation& i : record_.invocations) {
      std::error_code error;
      const fs::path path = fs::canonical(i.*field, error);
      if (!error) values.insert(path.string());
      if (error && missing.empty()) missing = i.*field;
    }
    REPRISE_CHECK(values.size() <= 1,
                  "{}: was called with several {}: {}\nGive one with {} and its tasks with --tasks",
                  options_.run, option, fmt::join(values, ", "), option);
    return values.empty() ? missing : *values.begin();
  }

  void choose_tasks() {
    const auto finished = folder_.finished_tasks();
    tasks_ = options_.tasks.empty() ? finished : options_.tasks;
    REPRISE_CHECK(!tasks_.empty(), "{}: no task has been learned here yet", options_.run);
    for (const std::string& task : tasks_) {
      REPRISE_CHECK(std::find(finished.begin(), finished.end(), task) != finished.end(),
                    "{}: has no finished task '{}'; it has {}", options_.run, task,
                    finished.empty() ? "none" : fmt::format("{}", fmt::join(finished, ", ")));
      std::optional<TaskFile> file;
      try {
        file = read_task_file(folder_.task_file(task));
      } catch (const Error&) {  // compare() says why, beside the verdicts on the others
      }
      if (file) check_not_packed(*file, "clr audit verify");
    }
  }

  // Takes the run's own device and dtype. --device may only choose another GPU.
  void choose_device() {
    const std::string kind = common_.device.substr(0, common_.device.find(':'));
    if (!kind.empty() && kind != recipe_.device)
      throw UsageError(
          fmt::format("--device {}: this run was trained on {}; the same bits can only be "
                      "expected there",
                      common_.device, recipe_.device));
    if (kind.empty()) common_.device = recipe_.device;
    common_.dtype = recipe_.dtype;
    const Invocation& last = record_.invocations.back();
    common_.tf32 = last.tf32;
    if (common_.bf16_order.empty() && last.bf16_order != "-") common_.bf16_order = last.bf16_order;
  }

  void tell_cost() const {
    double seconds = 0;
    std::int64_t images = 0;
    for (const std::string& task : tasks_) {
      seconds += read_task_log(folder_.log_file(task)).seconds();
      images += learned(task).images["train"];
    }
    clr::tell_cost(common_,
                   fmt::format("trains {} task{} again in a scratch folder, {} images, at most {} epochs; "
                               "the first training took {} in all",
                               tasks_.size(), tasks_.size() == 1 ? "" : "s", grouped(images), recipe_.epochs,
                               duration_text(seconds)));
  }

  // Returns the run's task, without facts if its file cannot be read: compare says why.
  TaskFile learned(const std::string& task) const {
    try {
      return folder_.learned(task, record_);
    } catch (const Error&) {
      return {};
    }
  }

  void condition(const std::string& name, const std::string& recorded, const std::string& here,
                 bool needed = true) {
    conditions_.push_back({name, recorded.empty() ? "(not recorded)" : recorded, here, needed});
  }

  // Returns what the run's invocations recorded; different values are joined by " and ".
  std::string recorded_fact(std::string Invocation::*field) const {
    std::set<std::string> values;
    for (const Invocation& i : record_.invocations) values.insert(i.*field);
    return fmt::format("{}", fmt::join(values, " and "));
  }

  void check_surroundings() {
    const Invocation here = invocation_on(common_.resolved_device(), common_.resolved_dtype());
    // Another build or decoder may give the same bits. If it does not, this is a possible reason.
    for (const auto& [name, field, needed] :
         {std::tuple("instruction set", &Invocation::instruction_set, true),
          {"winograd", &Invocation::winograd, true},
          {"bf16 order", &Invocation::bf16_order, true},
          {"version", &Invocation::version, false},
          {"compiler", &Invocation::compiler, false},
          {"flags", &Invocation::flags, false},
          {"decoders", &Invocation::decoders, false}})
      if (const std::string fact = recorded_fact(field); !fact.empty() || field != &Invocation::bf16_order)
        condition(name, fact, here.*field, needed);
    for (const auto& [option, wanted, path] :
         {std::tuple("--init", recipe_.init_sha256, init_), {"--order", recipe_.order_sha256, order_}}) {
      if (wanted.empty()) continue;
      std::string found;
      try {
        found = sha256_hex(data::read_file(path));
      } catch (const Error& e) {
        found = e.what();
        found.resize(std::min(found.size(), found.find('\n')));
      }
      condition("file of " + std::string(option), wanted, found);
    }
  }

  Backbone load() {
    const RecordedBackbone& b = record_.backbone;
    TaskFile wanted;  // backbone_of reads only these members
    wanted.path = folder_.task_file(tasks_.front());
    wanted.method = recipe_.method;
    wanted.arch = b.arch;
    wanted.backbone_identity = b.identity;
    Backbone backbone = backbone_of(wanted, common_.weights(options_.backbone), common_.resolved_device(),
                                    common_.resolved_dtype());
    condition("backbone", b.identity, backbone.identity);
    if (!backbone.is_none()) condition("backbone's file", b.file_sha256, backbone.file_sha256);
    return backbone;
  }

  bool refused() const {
    return !options_.anyway &&
           std::ranges::any_of(conditions_, [](const Condition& c) { return c.needed && !c.met(); });
  }

  SessionOptions session_options(const std::string& task, const std::string& scratch) const {
    SessionOptions s;
    s.recipe = recipe_;
    s.data = data_;
    s.run = scratch;
    s.tasks = {task};
    s.init = init_;
    s.order = order_;
    s.quiet = common_.quiet;
    s.clip_grey16 = record_.invocations.front().clip_grey16;
    s.follow_links = record_.invocations.front().follow_links;
    s.argv = arguments_of_process();
    return s;
  }

  // Returns true if the images are those that the task was
  // learned from (or --anyway). Notes each difference.
  bool check_data(const std::string& task, const Plan& plan) {
    bool same = true;
    const TaskFile file = learned(task);
    if (file.task.empty()) return true;
    for (const char* split : {"train", "val", "test"}) {
      const auto digest = [&](const std::map<std::string, std::string>& digests) {
        const auto found = digests.find(split);
        return found == digests.end() ? "(none)" : found->second;
      };
      const std::string before = digest(file.data_digests), now = digest(plan.tasks.at(0).digests);
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
  RunRecord record_;
  Recipe recipe_;
  std::vector<std::string> tasks_;
  std::string data_, init_, order_;  // init_, order_: empty unless the recipe has them
  Progress progress_{Progress::style_for(common_.quiet)};
  std::vector<Condition> conditions_;
  std::vector<Verdict> verdicts_;
};

// Compares two task files, an older version's in today's form. Returns nothing
// for the same bytes, else the first tensor or metadata that differs.
std::string Verification::compare(const std::string& first, const std::string& again) {
  if (data::read_file(first) == data::read_file(again)) return {};
  data::WeightFile before;
  try {
    before = data::read_weights(first);
    const TaskFile old = read_task_file(first);
    if (old.version < task_version) before = data::parse_weights(bytes_of(old), first);
    if (before.file_sha256 == sha256_hex(data::read_file(again))) return {};
  } catch (const Error& e) {
    return "the run's file cannot be compared: " + std::string(e.what());
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
                        c.here + (c.name == "instruction set" ? "\n  needed    REPRISE_CPU_ISA=" +
                                                                    c.recorded + ", on a machine that has it"
                                                              : "")));
  if (refused())
    print("nothing was compared, because a condition is not met; --anyway compares nevertheless\n");
}

}  // namespace

void add_audit_verify(Command audit, Common& common) {
  const Command c = add_command(audit, common, "verify",
                                "retrain a run from its own record and compare task files byte for byte");
  const auto o = std::make_shared<VerifyOptions>();
  c.add_option("run", o->run, "run folder").required();
  c.add_option("--data", o->data, "the run's images (default: where the run found them)");
  c.add_option("--backbone", o->backbone, "the run's backbone (default: the file that the run names)");
  add_weight_options(c, common);
  c.add_names("--tasks", o->tasks, "only these tasks, separated by commas (\\, is a comma in a name)");
  c.add_option("--scratch", o->scratch, "folder to train in (default: the system's temporary folder)");
  c.add_flag("--anyway", o->anyway, "compare even if a recorded condition is not met here");
  c.callback([o, &common] {
    const SignalGuard signals;
    Verification verification(*o, common);
    try {
      verification.run();
    } catch (const Interrupted&) {
      throw Interrupted("interrupted; the scratch folder is removed, the run is unchanged");
    }
    verification.print_result();
    if (!verification.same()) common.exit_status = 1;
  });
}

}  // namespace reprise::clr
