#include "layers/state_dict.h"

#include <algorithm>
#include <map>
#include <set>

#include "engine/base/check.h"
#include "layers/file_layout.h"
#include "layers/simple.h"

namespace reprise::layers {
namespace {

constexpr std::size_t listed_lines = 64;

void list(std::string& text, std::string_view what, const std::vector<std::string>& lines) {
  for (std::size_t i = 0; i < std::min(lines.size(), listed_lines); ++i)
    text += fmt::format("\n  {:<8} {}", what, lines[i]);
  if (lines.size() > listed_lines)
    text += fmt::format("\n  {:<8} and {} more", what, lines.size() - listed_lines);
}

// Turns columns of Flatten, in a matrix or a row, from C,H,W to H,W,C (from_file) or back.
Tensor turned(const Tensor& t, const Flatten& flatten, bool from_file) {
  const Shape& hwc = flatten.image;
  REPRISE_CHECK(
      hwc.rank() == 3 && t.rank() >= 1 && t.dim(-1) == hwc.numel(),
      "state dict: this tensor follows {}; files order an image's values C, H, W, so it must be told "
      "the (H,W,C) of its input: Flatten({{H, W, C}})\n  tensor  {}",
      hwc.rank() == 3 ? "a Flatten of " + to_string(hwc) : "a Flatten of unknown images", describe(t));
  const std::int64_t rows = t.numel() / hwc.numel();
  const Tensor images =
      t.viewed_as(from_file ? Shape{rows, hwc[2], hwc[0], hwc[1]} : Shape{rows, hwc[0], hwc[1], hwc[2]});
  return (from_file ? from_file_layout : to_file_layout)(images, FileLayout::images).viewed_as(t.shape());
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

std::vector<NamedTensor> state_dict(const std::vector<ConstEntry>& entries) {
  std::vector<NamedTensor> state;
  for (const ConstEntry& e : entries) {
    const ErrorScope scope("name", e.name);
    const Tensor t = e.tensor->to(cpu_device);
    const Tensor file = e.flatten != nullptr ? turned(t, *e.flatten, false) : to_file_layout(t, e.layout);
    state.push_back({e.name, file.clone()});
  }
  return state;
}
std::vector<NamedTensor> state_dict(const Module& module) {
  return state_dict(module.named_tensors());
}

LoadReport compare_state_dict(const std::vector<ConstEntry>& entries,
                              const std::vector<NamedTensor>& tensors) {
  std::map<std::string_view, const Tensor*> given;
  for (const NamedTensor& t : tensors) given[t.name] = &t.tensor;
  LoadReport report;
  for (const ConstEntry& e : entries) {
    const auto found = given.find(e.name);
    const Shape expected = file_shape(e.tensor->shape(), e.layout);
    if (found == given.end()) {
      report.missing.push_back(fmt::format("{} {}", e.name, to_string(expected)));
      continue;
    }
    const Tensor& t = *found->second;
    if (t.shape() != expected || !is_floating(t.dtype()))
      report.shape_differs.push_back(fmt::format("{}: {} {} in the file, {} in the network", e.name,
                                                 to_string(t.shape()), name_of(t.dtype()),
                                                 to_string(expected)));
    else
      report.matched.push_back(e.name);
    given.erase(found);
  }
  for (const NamedTensor& t : tensors)
    if (given.contains(t.name) && !t.name.ends_with("num_batches_tracked"))
      report.extra.push_back(fmt::format("{} {}", t.name, to_string(t.tensor.shape())));
  return report;
}

LoadReport load_state_dict(const std::vector<Entry>& entries, const std::vector<NamedTensor>& tensors,
                           bool strict) {
  std::vector<ConstEntry> looked_at;
  for (const Entry& e : entries) looked_at.push_back({e.name, e.tensor, e.layout, e.is_buffer, e.flatten});
  LoadReport report = compare_state_dict(looked_at, tensors);
  REPRISE_CHECK(
      !strict || report.missing.size() + report.shape_differs.size() + report.extra.size() == 0,
      "state dict: the tensors do not fit; with strict = false only those that match are loaded\n  {}",
      report.text());
  std::map<std::string_view, const Tensor*> given;
  for (const NamedTensor& t : tensors) given[t.name] = &t.tensor;
  const std::set<std::string_view> matched(report.matched.begin(), report.matched.end());
  std::vector<std::pair<Tensor*, Tensor>> put;
  for (const Entry& e : entries) {
    if (!matched.contains(e.name)) continue;
    const ErrorScope scope("name", e.name);
    REPRISE_CHECK(!e.tensor->is_sealed(),
                  "state dict: this tensor of the module is sealed (frozen for good)");
    const Tensor file = given.at(e.name)->to(cpu_device);
    const Tensor t = e.flatten != nullptr ? turned(file, *e.flatten, true) : from_file_layout(file, e.layout);
    put.emplace_back(e.tensor, t.to(e.tensor->dtype()).to(e.tensor->device()));
  }
  for (auto& [to, t] : put) copy_into(*to, t);
  return report;
}
LoadReport load_state_dict(Module& module, const std::vector<NamedTensor>& tensors, bool strict) {
  return load_state_dict(module.named_tensors(), tensors, strict);
}

}  // namespace reprise::layers
