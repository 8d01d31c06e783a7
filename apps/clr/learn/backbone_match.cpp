// Finds the architecture that a file's tensors fit, and how well they fit.
#include <algorithm>
#include <set>

#include "apps/clr/learn/backbone.h"
#include "apps/clr/learn/errors.h"
#include "data/weights/identity.h"
#include "engine/base/check.h"
#include "layers/network.h"
#include "layers/reprogramming/method.h"

namespace reprise::clr {
namespace {

constexpr std::size_t listed_lines = 64;

Shape file_shape(const layers::ConstEntry& e) {
  const Shape& s = e.tensor->shape();
  switch (e.layout) {
    case FileLayout::conv:
      return {s[0], s[3], s[1], s[2]};
    case FileLayout::depthwise:
      return s.rank() == 3 ? Shape{s[2], 1, s[0], s[1]} : Shape{s[0], s[3], 1, s[1], s[2]};
    case FileLayout::images:
      return {s[0], s[3], s[1], s[2]};
    case FileLayout::plain:
      break;
  }
  return s;
}

const Tensor* find(const std::vector<data::NamedTensor>& tensors, const std::string& name) {
  for (const auto& t : tensors)
    if (t.name == name) return &t.tensor;
  return nullptr;
}

void list(std::string& text, std::string_view what, const std::vector<std::string>& lines) {
  for (std::size_t i = 0; i < std::min(lines.size(), listed_lines); ++i)
    text += fmt::format("\n  {:<8} {}", what, lines[i]);
  if (lines.size() > listed_lines)
    text += fmt::format("\n  {:<8} and {} more", what, lines.size() - listed_lines);
}

// The report against a network, whose head has the number of classes that the tensors have.
LoadReport compare(const std::vector<data::NamedTensor>& tensors, const layers::Network& network) {
  std::map<std::string, const Tensor*> in_file;
  for (const auto& t : tensors) in_file[t.name] = &t.tensor;
  LoadReport report;
  std::set<std::string> known;
  for (const layers::ConstEntry& e : network.named_tensors()) {
    known.insert(e.name);
    const auto found = in_file.find(e.name);
    const Shape expected = file_shape(e);
    if (found == in_file.end())
      report.missing.push_back(fmt::format("{} {}", e.name, to_string(expected)));
    else if (found->second->shape() != expected || !is_floating(found->second->dtype()))
      report.shape_differs.push_back(fmt::format("{}: {} {} in the file, {} in the network", e.name,
                                                 to_string(found->second->shape()),
                                                 name_of(found->second->dtype()), to_string(expected)));
    else {
      report.matched.push_back(e.name);
      report.body += !e.name.starts_with(network.head_name() + ".");
    }
  }
  for (const auto& t : tensors)
    if (!known.contains(t.name) && !t.name.ends_with("num_batches_tracked"))
      report.extra.push_back(fmt::format("{} {}", t.name, to_string(t.tensor.shape())));
  return report;
}

}  // namespace

std::string LoadReport::text() const {
  std::string text = fmt::format("matched {}, missing {}, extra {}, of another shape {}", matched.size(),
                                 missing.size(), extra.size(), shape_differs.size());
  list(text, "missing", missing);
  list(text, "shape", shape_differs);
  list(text, "extra", extra);
  return text;
}

int classes_of(const std::vector<data::NamedTensor>& tensors, const layers::Network& network) {
  const Tensor* weight = find(tensors, network.head_name() + ".weight");
  const Tensor* bias = find(tensors, network.head_name() + ".bias");
  const bool fits = weight != nullptr && bias != nullptr && weight->rank() == 2 && bias->rank() == 1 &&
                    weight->dim(1) == network.head().weight.dim(1) && bias->dim(0) == weight->dim(0) &&
                    is_floating(weight->dtype()) && is_floating(bias->dtype()) && weight->dim(0) > 0 &&
                    weight->dim(0) <= 1'000'000;
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
  ArchitectureMatch match{*arch, compare(tensors, *network)};
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
