// clr audit nan: trains in anomaly mode until the first value that is not finite.
#include "apps/clr/audit/cost.h"
#include "apps/clr/audit/parts.h"
#include "apps/clr/audit/trial.h"
#include "apps/clr/learn/anomaly.h"

namespace reprise::clr {
namespace {

void print_result(const Common& common, const Trial& trial, const AnomalyWatch& watch, std::int64_t steps,
                  const std::string& anomaly) {
  if (common.json) {
    Json kernels = Json::array();
    for (const auto& [name, read] : watch.read())
      kernels.push_back({{"name", name},
                         {"calls", read.calls},
                         {"values", read.values},
                         {"min", read.min},
                         {"max", read.max}});
    return print_json({{"trial", trial.describe()},
                       {"steps", steps},
                       {"finite", anomaly.empty()},
                       {"anomaly", anomaly},
                       {"kernels", kernels}});
  }
  Table table({"kernel", "calls", "values read", "min", "max"});
  for (const auto& [name, read] : watch.read())
    if (read.values > 0)
      table.row({name, grouped(read.calls), grouped(read.values), fmt::format("{:.3g}", read.min),
                 fmt::format("{:.3g}", read.max)});
  print(table.text());
  print(anomaly.empty() ? fmt::format("{} steps: every value is finite\n", steps) : anomaly + "\n");
}

void run_nan(const TrialOptions& o, Common& common) {
  const SignalGuard signals;
  const Trial trial(o, common);
  tell_cost(
      common,
      trial.describe() +
          ", reading every kernel's outputs and their ranges: about four times as long as plain training");
  TrialTraining training(trial);
  AnomalyWatch watch(training.network(), /*ranges=*/true);
  std::int64_t steps = 0;
  std::string anomaly;
  try {
    for (; steps < trial.recipe().steps; ++steps) {
      stop_if_requested();
      training.step();
    }
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& e) {
    anomaly = e.what();
    if (!anomaly.starts_with("anomaly:")) throw;
    common.exit_status = 1;
  }
  print_result(common, trial, watch, steps, anomaly);
}

}  // namespace

void add_audit_nan(Command audit, Common& common) {
  const Command c =
      add_command(audit, common, "nan",
                  "train a few steps and stop at the first value that is not finite, where it arose");
  const auto o = std::make_shared<TrialOptions>();
  add_trial_options(c, *o, 100);
  add_weight_options(c, common);
  c.callback([o, &common] { run_nan(*o, common); });
}

}  // namespace reprise::clr
