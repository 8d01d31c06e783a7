// clr audit repeat: does the same steps several times, with
// several numbers of threads, and compares all bits.
#include "apps/clr/audit/cost.h"
#include "apps/clr/audit/parts.h"
#include "apps/clr/audit/trace.h"
#include "apps/clr/audit/trial.h"
#include "engine/base/parallel.h"

namespace reprise::clr {
namespace {

struct RepeatOptions {
  TrialOptions trial;
  std::vector<int> counts{1, 2, 3, 8};
};

std::string threads_text(int n) {
  return fmt::format("{} thread{}", n, n == 1 ? "" : "s");
}

void print_result(const std::vector<TracedResult>& results, const Trial& trial, bool json) {
  bool same = true;
  for (const TracedResult& r : results) same &= !r.finding;
  if (json) {
    Json runs = Json::array();
    for (const TracedResult& r : results) {
      Json run = {{"name", r.name},
                  {"steps", r.steps},
                  {"kernels", r.kernels},
                  {"values", r.values},
                  {"same", !r.finding}};
      if (const auto& f = r.finding) {
        run["step"] = f->step;
        run["kernel"] = f->kernel;
        run["layer"] = f->layer;
        run["tensor"] = f->tensor;
        if (f->difference) run["element"] = f->difference->element;
        run["difference"] = f->text();
      }
      runs.push_back(run);
    }
    return print_json({{"trial", trial.describe()}, {"same", same}, {"runs", runs}});
  }
  Table table({"run", "steps", "kernels", "values compared", "result"}, {true, false, false, false, true});
  for (std::size_t i = 0; i < results.size(); ++i) {
    const TracedResult& r = results[i];
    table.row({r.name, grouped(r.steps), grouped(r.kernels), i == 0 ? "-" : grouped(r.values),
               i == 0      ? "(what the others are compared with)"
               : r.finding ? r.finding->text()
                           : "the same bits"});
  }
  print(table.text());
}

void run_repeat(const RepeatOptions& o, Common& common) {
  const SignalGuard signals;
  const Trial trial(o.trial, common);
  const int usual = thread_count();
  tell_cost(common, fmt::format("{}; {} times, reading what every kernel writes; about {} of memory",
                                trial.describe(), o.counts.size() + 2,
                                bytes_text(trial.memory() * static_cast<std::int64_t>(o.counts.size() + 4))));
  std::vector<std::unique_ptr<TrialTraining>> trainings;
  std::vector<TracedRun> runs;
  NamesByAddress names;
  const auto add = [&](const std::string& name, int threads) {
    trainings.push_back(std::make_unique<TrialTraining>(trial));
    TrialTraining& training = *trainings.back();
    for (const layers::Entry& e : training.network().named_tensors())
      if (e.tensor->device().is_host()) names[e.tensor->view().ptr] = e.name;
    runs.push_back({name, [&training, threads] {
                      stop_if_requested();
                      set_thread_count(threads);
                      training.step();
                    }});
  };
  add(threads_text(usual), usual);
  add(threads_text(usual) + ", again", usual);
  for (const int n : o.counts)
    if (n != usual) add(threads_text(n), n);
  const auto results = compare_runs(runs, trial.recipe().steps, names);
  set_thread_count(usual);
  trial.backbone().verify();
  print_result(results, trial, common.json);
  for (const TracedResult& r : results)
    if (r.finding) common.exit_status = 1;
}

}  // namespace

void add_audit_repeat(Command audit, Common& common) {
  const Command c =
      add_command(audit, common, "repeat",
                  "do the same training steps several times and compare what every kernel writes");
  const auto o = std::make_shared<RepeatOptions>();
  add_trial_options(c, o->trial, 5);
  add_weight_options(c, common);
  c.add_option("--thread-counts", o->counts, "repeat with these numbers of threads, separated by commas")
      .comma_separated()
      .range(1, most_threads)
      .shows_default();
  c.callback([o, &common] { run_repeat(*o, common); });
}

}  // namespace reprise::clr
