// Finds the architecture that a file's tensors fit, and how well they fit.
#include <algorithm>

#include "apps/clr/learn/backbone.h"
#include "apps/clr/learn/errors.h"
#include "data/weights/identity.h"
#include "engine/base/check.h"
#include "layers/network.h"
#include "layers/reprogramming/method.h"

namespace reprise::clr {
namespace {

const Tensor* find(const std::vector<data::NamedTensor>& tensors, const std::string& name) {
  for (const auto& t : tensors)
    if (t.name == name) return &t.tensor;
  return nullptr;
}

}  // namespace

int classes_of(const std::vector<data::NamedTensor>& tensors, const layers::Network& network) {
  const Tensor* weight = find(tensors, network.head_name() + ".weight");
  const Tensor* bias = find(tensors, network.head_name() + ".bias");
  const bool fits = weight != nullptr && bias != nullptr && weight->rank() == 2 && bias->rank() == 1 &&
                    weight->dim(1) == network.head().weight.dim(1) && bias->dim(0) == weight->dim(0) &&
                    is_floating(weight->dtype()) && is_floating(bias->dtype()) && weight->dim(0) <= 1'000'000;
  return fits ? static_cast<int>(weight->dim(0)) : 0;
}

std::optional<ArchitectureMatch> recognise(const std::vector<data::NamedTensor>& tensors,
                                           const std::string& asked) {
  std::optional<std::string> arch = asked;
  if (asked == "auto") {
    std::map<std::string, Shape> shapes;
    for (const auto& t : tensors) shapes[t.name] = t.tensor.shape();
    arch = layers::guess_architecture(shapes);
  }
  if (!arch) return std::nullopt;
  auto network = layers::make_network(*arch, 1);
  if (const int classes = classes_of(tensors, *network); classes > 1) network->replace_head(classes, 0);
  ArchitectureMatch match{*arch,
                          layers::compare_state_dict(std::as_const(*network).named_tensors(), tensors)};
  match.body = static_cast<std::size_t>(std::ranges::count_if(
      match.report.matched, [&](const auto& name) { return !name.starts_with(network->head_name() + "."); }));
  if (asked == "auto" && !fits_mostly(match.report)) return std::nullopt;
  return match;
}

bool fits_mostly(const LoadReport& report) {
  return report.matched.size() >= report.missing.size() + report.shape_differs.size();
}

std::string identity_of(const std::vector<data::NamedTensor>& tensors, const std::string& arch) {
  const auto network = layers::make_network(arch, 1);
  std::vector<data::NamedTensor> body;
  for (const layers::ConstEntry& e : std::as_const(*network).body())
    if (const Tensor* t = find(tensors, e.name);
        t != nullptr && !e.name.starts_with(network->head_name() + "."))
      body.push_back({e.name, *t});
  return data::backbone_identity(body);
}

std::string checked_architecture(const std::string& arch) {
  const auto known = layers::known_architectures();
  if (std::find(known.begin(), known.end(), arch) != known.end()) return arch;
  throw BadValue("arch", arch, fmt::format("one of {}", fmt::join(known, ", ")));
}

std::string checked_method(const std::string& method) {
  try {
    return std::string(layers::find_method(method).name);
  } catch (const Error& e) {
    const std::string text = e.what(), known = "known are ";
    throw BadValue("method", method, "one of " + text.substr(text.find(known) + known.size()));
  }
}

}  // namespace reprise::clr
