// clr audit drift: trains the same first steps on every device,
// dtype and instruction set, and compares the losses.
#include "apps/clr/audit/columns.h"
#include "apps/clr/audit/cost.h"
#include "apps/clr/audit/margin_bounds.h"
#include "apps/clr/audit/parts.h"
#include "apps/clr/audit/trial.h"

namespace reprise::clr {
namespace {

struct DriftOptions {
  TrialOptions trial;
  bool only = false;
};

// The others are compared with the first.
const Column columns[] = {
    {"ref f64", "ref", "f64", {}},
    {"cpu f32 avx512", "cpu", "f32", {{"REPRISE_CPU_ISA", "avx512"}}},
    {"cpu f32 avx2", "cpu", "f32", {{"REPRISE_CPU_ISA", "avx2"}}},
    {"cpu f32 portable", "cpu", "f32", {{"REPRISE_CPU_ISA", "portable"}}},
    {"cpu f32 no Winograd", "cpu", "f32", {{"REPRISE_WINOGRAD", "0"}}},
    {"cpu f32 not fused", "cpu", "f32", {{"REPRISE_FUSE", "0"}}},
    {"cpu bf16", "cpu", "bf16", {}},
    {"cpu bf16 not in pairs", "cpu", "bf16", {{"REPRISE_CPU_ISA", "avx512"}}},
    {"cuda f32", "cuda", "f32", {}},
    {"cuda bf16", "cuda", "bf16", {}},
};

struct Curve {
  std::string title;
  std::vector<double> losses;  // of each step
  MarginBound bound = {};      // of ref in double: how far rounding to f32 can move the first loss
};

Curve steps_here(const TrialOptions& o, const Common& common) {
  const Trial trial(o, common);
  TrialTraining training(trial);
  Curve curve{fmt::format("{} {}", to_string(common.resolved_device()), name_of(common.resolved_dtype())),
              {}};
  const auto step = [&] { curve.losses.push_back(training.step().loss); };
  for (std::int64_t s = 0; s < trial.recipe().steps; ++s) {
    stop_if_requested();
    if (s > 0 || common.resolved_dtype() != DType::f64)
      step();
    else
      curve.bound = bound_loss(step, MarginOptions().lambda);
  }
  return curve;
}

Curve steps_of(const Column& column, const Common& common) {
  const Json json = run_column(column);
  REPRISE_CHECK(json.contains("losses"), "{}: the column's process printed no losses", column.title);
  const Curve curve{column.title,
                    json["losses"].get<std::vector<double>>(),
                    {json.value("first_bound", 0.0), json.value("first_probable", 0.0)}};
  if (!common.quiet) log_line(fmt::format("{}: {} steps", column.title, curve.losses.size()));
  return curve;
}

double largest_difference(const Curve& curve, const Curve& truth, std::size_t steps) {
  double largest = 0;
  for (std::size_t s = 0; s < steps; ++s)
    largest = std::max(largest, std::abs(curve.losses[s] - truth.losses[s]) / std::abs(truth.losses[s]));
  return largest;
}

void print_curves(const std::vector<Curve>& curves, const Common& common, const std::string& what) {
  const Curve& truth = curves.front();
  const std::size_t steps = truth.losses.size();
  if (common.json) {
    Json list = Json::array();
    for (const Curve& c : curves)
      list.push_back({{"name", c.title},
                      {"losses", c.losses},
                      {"largest_relative_difference", largest_difference(c, truth, steps)}});
    return print_json({{"trial", what},
                       {"columns", list},
                       {"first_bound", truth.bound.worst},
                       {"first_probable", truth.bound.probable}});
  }
  std::vector<std::string> titles{"step"};
  for (const Curve& c : curves) titles.push_back(c.title);
  Table table(titles);
  for (std::size_t s = 1; s <= steps; ++s) {
    if (s > 2 && s != 5 && s % 10 != 0 && s != steps) continue;
    std::vector<std::string> cells{std::to_string(s)};
    for (const Curve& c : curves) cells.push_back(fmt::format("{:.9f}", c.losses[s - 1]));
    table.row(cells);
  }
  table.rule();
  for (std::size_t upto = 1; upto <= steps; ++upto) {
    if (upto != 1 && upto != 10 && upto != steps) continue;
    std::vector<std::string> cells{fmt::format("off, to step {}", upto)};
    for (const Curve& c : curves)
      cells.push_back(&c == &truth ? "-" : fmt::format("{:.1e}", largest_difference(c, truth, upto)));
    table.row(cells);
  }
  print(table.text());
  print("loss as training reports it; off: its largest relative difference from " + truth.title +
        " so far\n");
  print(
      fmt::format("step 1 in f32, to first order: rounding moves the loss without its penalty by at most "
                  "{:.1e} of it, probably by less "
                  "than {:.1e}; of later steps nothing is said\n",
                  truth.bound.worst / truth.losses[0], truth.bound.probable / truth.losses[0]));
}

void run_drift(const DriftOptions& o, Common& common) {
  const SignalGuard signals;
  if (o.only) {
    const Curve curve = steps_here(o.trial, common);
    if (common.json)
      return print_json({{"name", curve.title},
                         {"losses", curve.losses},
                         {"first_bound", curve.bound.worst},
                         {"first_probable", curve.bound.probable}});
    return print_curves({curve}, common, curve.title);
  }
  if (!common.device.empty() || common.dtype != "f32")
    throw UsageError("audit drift runs on every device and dtype; --only with --device and --dtype runs one");
  const std::vector<const Column*> present = present_columns(columns, common);
  Common plain = common;  // reads and checks everything once, before the first process starts
  plain.device = "cpu";
  const Trial trial(o.trial, plain);
  tell_cost(common,
            fmt::format("{}, once for each of {} columns; ref in double takes about {} of the time",
                        trial.describe(), present.size(), duration_text(seconds_on_ref(trial.flops()))));
  std::vector<Curve> curves;
  for (const Column* column : present) curves.push_back(steps_of(*column, common));
  print_curves(curves, common, trial.describe());
}

}  // namespace

void add_audit_drift(Command audit, Common& common) {
  const Command c =
      add_command(audit, common, "drift",
                  "compare the loss of the first steps on every device, dtype and instruction set");
  const auto o = std::make_shared<DriftOptions>();
  add_trial_options(c, o->trial, 50);
  add_weight_options(c, common);
  c.add_flag("--only", o->only, "only one column: that of --device and --dtype");
  c.callback([o, &common] { run_drift(*o, common); });
}

}  // namespace reprise::clr
