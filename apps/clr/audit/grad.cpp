// clr audit grad: checks the gradients of every op and of a
// whole network by differences, in double on ref.
#include <array>

#include "apps/clr/audit/cost.h"
#include "apps/clr/audit/parts.h"
#include "engine/autograd/gradcheck.h"
#include "engine/base/check.h"
#include "engine/base/random.h"
#include "engine/cases/run_case.h"
#include "engine/ops/softmax.h"

namespace reprise::clr {
namespace {

struct GradOptions {
  std::string arch = "resnet20", method = "clr";
  int size = 12, elements = 2;
};
constexpr std::int64_t images_of_network = 3;
constexpr int classes_of_network = 4;

struct GradientRow {
  std::string name;
  std::int64_t tensors = 0, elements = 0;
  GradCheckResult result;
};

Tensor random_images(int size) {
  Tensor images = empty({images_of_network, size, size, 3}, DType::f64, ref_device);
  RandomStream random(0, "audit/images");
  for (std::int64_t i = 0; i < images.numel(); ++i) images.mutable_data<double>()[i] = random.normal();
  return images;
}

std::int64_t checked_elements(const std::vector<Tensor>& inputs, std::int64_t at_most) {
  std::int64_t count = 0;
  for (const Tensor& t : inputs) count += std::min(t.numel(), at_most);
  return count;
}

// Checks all small cases of an op and puts them into one row.
// The row has no elements if the op has no gradient.
GradientRow check_op(const cases::OpCases& op) {
  constexpr std::int64_t at_most = 16;  // elements of each input
  GradientRow row;
  row.name = op.op;
  row.result.passed = true;
  for (const std::string& parameters : op.cases) {
    const cases::Case c = op.make(parameters);
    if (c.integers || !c.by_differences || cases::size_of(c) > cases::size_for_differences) continue;
    for (const cases::Input& in : c.inputs)
      if (in.gradient) {
        ++row.tensors;
        row.elements += std::min(in.value.numel(), at_most);
      }
    const GradCheckResult one = cases::check_gradients(c, at_most);
    row.result.worst = std::max(row.result.worst, one.worst);
    if (one.passed) continue;
    row.result.passed = false;
    row.result.report += fmt::format("{}\n{}", c.name, one.report);
  }
  return row;
}

std::unique_ptr<layers::Network> small_network(const GradOptions& o, std::uint64_t seed) {
  auto network = layers::make_network(checked_architecture(o.arch), classes_of_network);
  network->initialize(seed);
  layers::apply_method(*network, checked_method(o.method));
  layers::start_values(*network, seed);
  network->to(DType::f64);
  network->to(ref_device);
  return network;
}

// Checks the loss as a function of all trained tensors of the network.
GradientRow check_network(const GradOptions& o, layers::Network& network) {
  std::vector<layers::Entry> trained;
  std::vector<Tensor> values;
  for (const layers::Entry& e : network.named_tensors())
    if (requires_grad(*e.tensor)) {
      trained.push_back(e);
      values.push_back(*e.tensor);
    }
  const Tensor images = random_images(o.size),
               labels =
                   tensor({images_of_network},
                          std::span<const std::int64_t>(std::array<std::int64_t, 3>{0, 2, 3}), ref_device);
  GradCheckOptions options;
  // A network has many kinks (ReLU); a small step crosses few of them.
  options.step = 1e-7;
  options.tolerance = 1e-5;
  options.max_elements = o.elements;
  const auto loss = [&](const std::vector<Tensor>& inputs) {
    for (std::size_t i = 0; i < trained.size(); ++i) *trained[i].tensor = inputs[i];
    return ops::cross_entropy(network(images), labels);
  };
  return {fmt::format("{} with {}, {}x{}", o.arch, o.method, o.size, o.size),
          static_cast<std::int64_t>(values.size()), checked_elements(values, options.max_elements),
          check_gradients(loss, values, options)};
}

void print_rows(const std::vector<GradientRow>& rows, const Common& common) {
  if (common.json) {
    Json list = Json::array();
    for (const GradientRow& r : rows)
      list.push_back({{"name", r.name},
                      {"tensors", r.tensors},
                      {"elements", r.elements},
                      {"share_of_allowance", r.result.worst},
                      {"passed", r.result.passed},
                      {"report", r.result.report}});
    return print_json({{"checks", list}});
  }
  Table table({"gradient of", "tensors", "elements", "error/allowed", ""}, {true, false, false, false, true});
  for (const GradientRow& r : rows)
    table.row({r.name, grouped(r.tensors), grouped(r.elements), fmt::format("{:.1e}", r.result.worst),
               r.result.passed ? "as differences say" : "WRONG"});
  print(table.text());
  for (const GradientRow& r : rows)
    if (!r.result.passed) print(fmt::format("{}:\n{}", r.name, r.result.report));
}

void run_grad(const GradOptions& o, Common& common) {
  if ((!common.device.empty() && common.device != "ref") || (common.dtype != "f32" && common.dtype != "f64"))
    throw UsageError(
        "audit grad computes only on ref, in double; audit ops compares the other backends with ref");
  common.device = "ref";
  common.dtype = "f64";
  const SignalGuard signals;
  const auto network = small_network(o, common.seed);
  common.begin();
  const double flops = flops_of_image(*network, o.size);
  const std::int64_t tensors = static_cast<std::int64_t>(network->trained_parameters().size());
  const double passes = 2.0 * static_cast<double>(tensors * o.elements + 2);
  tell_cost(common,
            fmt::format("{} ops, then {} with {}: {} elements of {} tensors, two passes each: about {}",
                        cases::all().size(), o.arch, o.method, tensors * o.elements, tensors,
                        duration_text(seconds_on_ref(flops * images_of_network * passes))));
  std::vector<GradientRow> rows;
  for (const cases::OpCases& op : cases::all()) {
    stop_if_requested();
    if (GradientRow row = check_op(op); row.elements > 0) rows.push_back(std::move(row));
  }
  rows.push_back(check_network(o, *network));
  print_rows(rows, common);
  for (const GradientRow& r : rows)
    if (!r.result.passed) common.exit_status = 1;
}

}  // namespace

void add_audit_grad(Command audit, Common& common) {
  const Command c =
      add_command(audit, common, "grad",
                  "check gradients of every op and of a whole network by finite differences, in double");
  const auto o = std::make_shared<GradOptions>();
  c.add_option("--arch", o->arch, "the network's architecture").shows_default();
  c.add_option("--method", o->method, "the network's method: the tensors that it trains are checked")
      .shows_default();
  c.add_option("--size", o->size, "height and width of the network's three images")
      .range(8, 512)
      .shows_default();
  c.add_option("--elements", o->elements, "check so many elements of each tensor of the network")
      .range(1, 1 << 20)
      .shows_default();
  c.callback([o, &common] { run_grad(*o, common); });
}

}  // namespace reprise::clr
