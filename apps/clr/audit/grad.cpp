// clr audit grad: checks the gradients of every op and of a
// whole network by differences, in double on ref.
#include <algorithm>
#include <array>
#include <sstream>

#include "apps/clr/audit/cost.h"
#include "apps/clr/audit/parts.h"
#include "engine/base/check.h"
#include "engine/base/error.h"
#include "engine/base/random.h"
#include "engine/cases/run_case.h"
#include "engine/ops/softmax.h"
#include "layers/summary.h"

namespace reprise::clr {
namespace {

struct GradOptions {
  std::string arch = "resnet20", method = "clr";
  int size = 0, elements = 2, tensors = 0;  // 0: the smallest size for the architecture, all tensors
};
constexpr int smallest_size = 8, largest_size = 512;
constexpr std::int64_t images_of_network = 3;
constexpr int classes_of_network = 4;

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

}  // namespace

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
    row.result.kinks += one.kinks;
    if (one.passed) continue;
    row.result.passed = false;
    row.result.report += fmt::format("{}\n{}", c.name, one.report);
  }
  return row;
}

void print_gradients(const std::vector<GradientRow>& rows, const Common& common) {
  if (common.json) {
    Json list = Json::array();
    for (const GradientRow& r : rows)
      list.push_back({{"name", r.name},
                      {"tensors", r.tensors},
                      {"elements", r.elements},
                      {"share_of_allowance", r.result.worst},
                      {"kinks", r.result.kinks},
                      {"passed", r.result.passed},
                      {"report", r.result.report}});
    return print_json({{"checks", list}});
  }
  Table table({"gradient of", "tensors", "elements", "kinks", "error/allowed", ""},
              {true, false, false, false, false, true});
  for (const GradientRow& r : rows)
    table.row({r.name, grouped(r.tensors), grouped(r.elements), grouped(r.result.kinks),
               fmt::format("{:.1e}", r.result.worst), r.result.passed ? "as differences say" : "WRONG"});
  print(table.text());
  for (const GradientRow& r : rows) {
    if (r.result.passed) continue;
    print(r.name + ":\n");
    std::istringstream lines(r.result.report);
    for (std::string line; std::getline(lines, line);)
      if (line.starts_with("WRONG ") || line.find("worst at") == std::string::npos) print(line + "\n");
  }
}

namespace {

// Returns the batch norm with the fewest pixels for images of size x size, or nothing if the network
// takes no such images.
std::optional<layers::LayerRow> smallest_map(layers::Network& network, int size) {
  std::vector<layers::LayerRow> rows;
  try {
    rows = layers::summarize(network, size, size);
  } catch (const Error&) {
    return {};
  }
  std::erase_if(rows, [](const layers::LayerRow& r) { return r.type != "BatchNorm2d"; });
  return *std::min_element(rows.begin(), rows.end(),
                           [](const layers::LayerRow& a, const layers::LayerRow& b) {
                             return a.output[1] * a.output[2] < b.output[1] * b.output[2];
                           });
}

// A batch norm over one pixel of each image divides by the spread of three numbers. A chain of such layers
// has a curvature that no difference follows. This function returns the smallest size with 2x2 pixels
// in every map.
int checked_size(layers::Network& network, int asked) {
  const auto suits = [&](int size) {
    const auto least = smallest_map(network, size);
    return least && least->output[1] >= 2 && least->output[2] >= 2;
  };
  int size = asked > 0 ? asked : smallest_size;
  while (size < largest_size && !suits(size)) ++size;
  REPRISE_CHECK(
      asked == 0 || size == asked,
      "audit grad: images of {0}x{0} pixels leave a batch norm of {1} with less than 2x2 pixels, and "
      "differences are then no measure of its gradient; expected --size {2} or more",
      asked, network.arch(), size);
  return size;
}

struct CheckedNetwork {
  std::unique_ptr<layers::Network> network;
  int size = 0;
  std::vector<layers::Entry> checked;  // the trained tensors whose gradients are checked
};

CheckedNetwork make_checked(const GradOptions& o, const std::string& arch, std::uint64_t seed) {
  CheckedNetwork c;
  c.network = layers::make_network(arch, classes_of_network);
  c.network->initialize(seed);
  layers::apply_method(*c.network, checked_method(o.method));
  layers::start_values(*c.network, seed);
  c.network->to(DType::f64);
  c.network->to(ref_device);
  c.size = checked_size(*c.network, o.size);
  std::vector<layers::Entry> trained;
  for (const layers::Entry& e : c.network->named_tensors())
    if (requires_grad(*e.tensor)) trained.push_back(e);
  const std::size_t all = trained.size(), some = o.tensors > 0 ? std::min<std::size_t>(o.tensors, all) : all;
  for (std::size_t i = 0; i < some; ++i)
    c.checked.push_back(trained[some == 1 ? 0 : i * (all - 1) / (some - 1)]);
  return c;
}

// Checks the loss as a function of the chosen tensors of the network.
GradientRow check_network(const GradOptions& o, CheckedNetwork c) {
  GradCheckOptions options;
  // A network has many kinks (ReLU); a small step crosses few of them.
  options.step = 1e-6;
  options.tolerance = 1e-5;
  options.max_elements = o.elements;
  std::vector<Tensor> values;
  for (const layers::Entry& e : c.checked) {
    options.names.push_back(e.name);
    values.push_back(*e.tensor);
  }
  const Tensor images = random_images(c.size),
               labels =
                   tensor({images_of_network},
                          std::span<const std::int64_t>(std::array<std::int64_t, 3>{0, 2, 3}), ref_device);
  const auto loss = [&](const std::vector<Tensor>& inputs) {
    stop_if_requested();
    for (std::size_t i = 0; i < inputs.size(); ++i) *c.checked[i].tensor = inputs[i];
    return ops::cross_entropy((*c.network)(images), labels);
  };
  return {fmt::format("{0} with {1}, {2}x{2}", c.network->arch(), o.method, c.size),
          static_cast<std::int64_t>(values.size()), checked_elements(values, options.max_elements),
          check_gradients(loss, values, options)};
}

void run_grad(const GradOptions& o, Common& common) {
  if ((!common.device.empty() && common.device != "ref") || (common.dtype != "f32" && common.dtype != "f64"))
    throw UsageError(
        "audit grad computes only on ref, in double; audit ops compares the other backends with ref");
  common.device = "ref";
  common.dtype = "f64";
  const SignalGuard signals;
  const auto archs = o.arch == "all" ? layers::known_architectures()
                                     : std::vector<std::string>{checked_architecture(o.arch)};
  common.begin();
  std::size_t tensors = 0;
  double flops = 0;
  for (const std::string& arch : archs) {
    const CheckedNetwork c = make_checked(o, arch, common.seed);
    tensors += c.checked.size();
    // A forward and a backward are three passes; each element takes two.
    const double passes = 2.0 * static_cast<double>(c.checked.size() * o.elements) + 3;
    flops += flops_of_image(*c.network, c.size) * images_of_network * passes;
  }
  tell_cost(common,
            fmt::format("{} ops, then {} with {}: {} elements of {} tensors, two passes each: about {}",
                        cases::all().size(), o.arch, o.method, tensors * o.elements, tensors,
                        duration_text(seconds_on_ref(flops))));
  std::vector<GradientRow> rows;
  for (const cases::OpCases& op : cases::all()) {
    stop_if_requested();
    if (GradientRow row = check_op(op); row.elements > 0) rows.push_back(std::move(row));
  }
  for (const std::string& arch : archs) rows.push_back(check_network(o, make_checked(o, arch, common.seed)));
  print_gradients(rows, common);
  for (const GradientRow& r : rows)
    if (!r.result.passed) common.exit_status = 1;
}

}  // namespace

void add_audit_grad(Command audit, Common& common) {
  const Command c =
      add_command(audit, common, "grad",
                  "check gradients of every op and of a whole network by finite differences, in double");
  const auto o = std::make_shared<GradOptions>();
  c.add_option("--arch", o->arch, "the network's architecture, or all").shows_default();
  c.add_option("--method", o->method, "the network's method: the tensors that it trains are checked")
      .shows_default();
  c.add_option(
       "--size", o->size,
       "height and width of the network's three images (default: the smallest with 2x2 pixels in every map)")
      .range(smallest_size, largest_size);
  c.add_option("--elements", o->elements, "check so many elements of each tensor of the network")
      .range(1, 1 << 20)
      .shows_default();
  c.add_option("--tensors", o->tensors, "check only so many tensors, spread over the network (default: all)")
      .range(1, 1 << 20);
  c.callback([o, &common] { run_grad(*o, common); });
}

}  // namespace reprise::clr
