// clr audit ops: compares every kernel with ref in double, on the same inputs.
#include <set>

#include "apps/clr/audit/cost.h"
#include "apps/clr/audit/kernel_errors.h"
#include "apps/clr/audit/parts.h"
#include "apps/clr/audit/trial.h"
#include "engine/base/check.h"
#include "engine/cases/run_case.h"
#include "engine/kernels/allowance.h"

namespace reprise::clr {
namespace {

// Runs the op cases forward and backward. Leaves out three kinds of cases: those on whole numbers,
// which have no errors; those whose terms cancel, which are allowed larger errors; and the few that
// take as long as all the rest.
void call_every_op(Device device, DType dtype) {
  for (const cases::OpCases& op : cases::all())
    for (const std::string& parameters : op.cases) {
      stop_if_requested();
      const cases::Case c = op.make(parameters);
      const ErrorScope scope("case", c.name);
      if (!c.integers && c.terms == 0 && cases::size_of(c) <= 300'000)
        cases::run_case(c, {device, c.bf16_roundings > 0 ? dtype : parameter_dtype(dtype)});
    }
}

std::vector<std::string> kernels_not_in(const ErrorProbe& probe) {
  std::set<std::string> seen;
  for (const auto& [key, errors] : probe.kernels) seen.insert(key.first);
  std::vector<std::string> others;
#define KERNEL(name_, ...) \
  if (!seen.contains(#name_)) others.push_back(#name_);
#include "engine/kernels/kernels.def"
#undef KERNEL
  return others;
}

std::string ulps_text(double ulps) {
  return ulps < 100 ? fmt::format("{:.2f}", ulps) : fmt::format("{:.2g}", ulps);
}
Json finite(double value) {
  return std::isfinite(value) ? Json(value) : Json("not finite");
}

void print_result(const Common& common, const ErrorProbe& probe, const std::string& from) {
  const auto others = kernels_not_in(probe);
  if (common.json) {
    Json list = Json::array();
    for (const auto& [key, e] : probe.kernels)
      list.push_back({{"kernel", e.name},
                      {"ran_on", e.ran_on},
                      {"calls", e.calls},
                      {"values", e.values},
                      {"largest_ulps", finite(e.largest_ulps)},
                      {"mean_ulps", finite(e.values > 0 ? e.sum_ulps / static_cast<double>(e.values) : 0)},
                      {"largest_relative", finite(e.relative)},
                      {"share_of_allowance", finite(e.share)}});
    return print_json({{"from", from}, {"kernels", list}, {"not_called", others}});
  }
  Table table({"kernel", "ran on", "calls", "values", "ulps max", "ulps mean", "relative", "of allowance"},
              {true, true, false, false, false, false, false, false});
  for (const auto& [key, e] : probe.kernels)
    table.row({e.name, e.ran_on, grouped(e.calls), grouped(e.values), ulps_text(e.largest_ulps),
               e.values > 0 ? ulps_text(e.sum_ulps / static_cast<double>(e.values)) : "-",
               fmt::format("{:.1e}", e.relative), percent(e.share, 2)});
  print(table.text());
  print(fmt::format(
      "each call compared with ref in double on the same inputs, {}\nulps: error in units of each element's "
      "last place; relative: largest error / the output's largest value; of allowance: relative / {:g}\n",
      from, kernel_allowance(common.resolved_dtype())));
  if (!others.empty()) print(fmt::format("not called: {}\n", fmt::join(others, ", ")));
}

void run_ops(const TrialOptions& o, Common& common) {
  const SignalGuard signals;
  ErrorProbe probe;
  std::string from = "from a call of every op, forward and backward";
  if (o.data.empty()) {
    if (!o.backbone.empty())
      throw UsageError("--backbone: needs --data, whose first training steps are then examined");
    common.begin();
    constexpr double flops_of_all_cases = 1.5e9;
    tell_cost(
        common,
        fmt::format("{} ops forward and backward, and each of their kernels again by ref in double: about {}",
                    cases::all().size(), duration_text(seconds_on_ref(flops_of_all_cases))));
    const ProbeScope scope(probe);
    call_every_op(common.resolved_device(), common.resolved_dtype());
  } else {
    const Trial trial(o, common);
    from = "from " + trial.describe();
    tell_cost(common, fmt::format("{}, and each of their kernels again by ref in double: about {}",
                                  trial.describe(), duration_text(seconds_on_ref(trial.flops()))));
    TrialTraining training(trial);
    const ProbeScope scope(probe);
    for (std::int64_t s = 0; s < trial.recipe().steps; ++s) training.step();
  }
  print_result(common, probe, from);
  for (const auto& [key, e] : probe.kernels)
    if (!(e.share <= 1)) common.exit_status = 1;
}

}  // namespace

void add_audit_ops(Command audit, Common& common) {
  const Command c =
      add_command(audit, common, "ops",
                  "compare every kernel with ref in double, in calls of every op or (with --data) in "
                  "training steps");
  const auto o = std::make_shared<TrialOptions>();
  add_trial_options(c, *o, 1).required(false);
  add_weight_options(c, common);
  c.callback([o, &common] { run_ops(*o, common); });
}

}  // namespace reprise::clr
