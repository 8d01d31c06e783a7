#include "apps/clr/original/original_state_dict.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>

#include "engine/base/check.h"
#include "layers/file_layout.h"
#include "layers/network.h"
#include "layers/reprogramming/method.h"

namespace reprise::clr {
namespace {

const std::string original_prefix = "model.", batches_suffix = "num_batches_tracked";

// The ending of a tensor's name in a convolution that a method wraps: ours, and the original's.
struct OriginalEnding {
  std::string_view ours, theirs;
};
constexpr OriginalEnding plain_endings[] = {{".weight", ".original_block.weight"},
                                            {".reprogram.weight", ".Ghos_Mod.0.weight"}};
constexpr OriginalEnding added_endings[] = {{".weight", ".conv.conv_layer.weight"},
                                            {".reprogram.weight", ".conv.ghost_layer.weight"},
                                            {".reprogram.scale", ".combine.A"}};
constexpr OriginalEnding side_endings[] = {{".weight", ".conv_layer.weight"}, {".side.weight", ".re.weight"}};

std::optional<std::string> with_ending(const std::string& name, std::string_view from, std::string_view to) {
  if (!name.ends_with(from)) return std::nullopt;
  return name.substr(0, name.size() - from.size()) + std::string(to);
}

std::string original_name(const std::string& name, const std::set<std::string>& all) {
  const auto wrapped = [&](std::span<const OriginalEnding> endings,
                           std::string_view mark) -> std::optional<std::string> {
    for (auto e = endings.rbegin(); e != endings.rend(); ++e) {  // the longest ending first
      if (!name.ends_with(e->ours)) continue;
      const std::string conv = name.substr(0, name.size() - e->ours.size());
      if (all.contains(conv + std::string(mark))) return conv + std::string(e->theirs);
    }
    return std::nullopt;
  };
  if (auto found = wrapped(added_endings, ".reprogram.scale")) return *found;
  if (auto found = wrapped(plain_endings, ".reprogram.weight")) return *found;
  return wrapped(side_endings, ".side.weight").value_or(name);
}

std::string our_name(const std::string& name) {
  for (const std::span<const OriginalEnding> endings :
       {std::span<const OriginalEnding>(added_endings), std::span<const OriginalEnding>(plain_endings),
        std::span<const OriginalEnding>(side_endings)})
    for (const OriginalEnding& e : endings)
      if (auto found = with_ending(name, e.theirs, e.ours)) return *found;
  return name;
}

Tensor scalar(std::int64_t value) {
  return tensor(Shape{}, std::span<const std::int64_t>(&value, 1));
}

// How a state dict differs from a network in a method's form;
// all 0 if the method explains the state dict.
struct Mismatch {
  std::size_t names = 0;   // tensors that are missing, unknown or of another shape
  std::size_t values = 0;  // frozen tensors with other values than the backbone's
  std::string first;       // the first difference, for the message
};

Mismatch mismatch_of(layers::Network& network, const std::map<std::string, const Tensor*>& given) {
  Mismatch wrong;
  const auto note = [&](std::size_t& count, const std::string& what) {
    if (wrong.names + wrong.values == 0) wrong.first = what;
    ++count;
  };
  std::set<std::string> own, known;
  for (const layers::Entry& e : layers::task_tensors(network)) own.insert(e.name);
  for (const layers::Entry& e : network.named_tensors()) {
    known.insert(e.name);
    const auto found = given.find(e.name);
    const Tensor expected = layers::to_file_layout(e.tensor->to(cpu_device), e.layout);
    if (found == given.end())
      note(wrong.names, fmt::format("{} {} is missing", e.name, to_string(expected.shape())));
    else if (found->second->shape() != expected.shape())
      note(wrong.names, fmt::format("{} is {}, expected {}", e.name, to_string(found->second->shape()),
                                    to_string(expected.shape())));
    else if (!own.contains(e.name) &&
             !std::ranges::equal(found->second->to(expected.dtype()).raw_bytes(), expected.raw_bytes()))
      note(wrong.values, fmt::format("{} is not the backbone's", e.name));
  }
  for (const auto& [name, tensor] : given)
    if (!known.contains(name))
      note(wrong.names, fmt::format("{} {} is too many", name, to_string(tensor->shape())));
  return wrong;
}

std::vector<std::string> numbered_classes(std::int64_t count) {
  std::vector<std::string> names;
  for (std::int64_t i = 0; i < count; ++i) names.push_back(std::to_string(i));
  return names;
}

}  // namespace

std::vector<data::NamedTensor> original_state_dict(
    layers::Network& network, const std::map<std::string, std::int64_t>& batches_tracked) {
  const auto entries = network.named_tensors();
  std::set<std::string> names;
  for (const layers::Entry& e : entries) names.insert(e.name);
  std::vector<data::NamedTensor> state;
  for (const layers::Entry& e : entries) {
    Tensor t = layers::to_file_layout(e.tensor->to(cpu_device), e.layout);
    const std::string name = original_name(e.name, names);
    if (name.ends_with(".combine.A")) t = t.viewed_as({1, t.numel(), 1, 1});
    state.push_back({original_prefix + name, t});
    if (auto batch_norm = with_ending(e.name, ".running_var", "")) {
      const auto count = batches_tracked.find(*batch_norm);
      state.push_back({original_prefix + *batch_norm + "." + batches_suffix,
                       scalar(count != batches_tracked.end() ? count->second : 0)});
    }
  }
  return state;
}

std::vector<data::NamedTensor> from_original_state_dict(const std::vector<data::NamedTensor>& tensors) {
  std::vector<data::NamedTensor> ours;
  std::set<std::string> names;
  for (const auto& [name, tensor] : tensors) {
    if (name.ends_with(batches_suffix)) continue;
    const bool prefixed = name.starts_with(original_prefix);
    data::NamedTensor renamed{our_name(prefixed ? name.substr(original_prefix.size()) : name), tensor};
    REPRISE_CHECK(names.insert(renamed.name).second, "state dict: two tensors stand for {}, the second is {}",
                  renamed.name, name);
    if (name.ends_with(".combine.A")) renamed.tensor = tensor.viewed_as({tensor.numel()});
    ours.push_back(std::move(renamed));
  }
  return ours;
}

TaskFile task_of_state_dict(const Backbone& backbone, const std::vector<data::NamedTensor>& tensors,
                            const std::vector<std::string>& classes) {
  std::map<std::string, const Tensor*> given;
  for (const auto& t : tensors) given[t.name] = &t.tensor;
  const std::string head = layers::make_network(backbone.arch, 1)->head_name();
  const auto weight = given.find(head + ".weight");
  REPRISE_CHECK(weight != given.end() && weight->second->rank() == 2 && weight->second->dim(0) > 0,
                "state dict: no head: expected {}.weight (classes,features)", head);
  const std::int64_t count = weight->second->dim(0);
  REPRISE_CHECK(classes.empty() || static_cast<std::int64_t>(classes.size()) == count,
                "state dict: its head has {} classes, but {} class names were given", count, classes.size());

  TaskFile task;
  std::optional<Mismatch> nearest;
  std::string nearest_method;
  for (const layers::Method* method : layers::methods()) {
    if (method->starts_at_random) continue;
    const auto network =
        backbone.instantiate(std::string(method->name), static_cast<int>(count), 0, "state dict");
    const Mismatch wrong = mismatch_of(*network, given);
    if (wrong.names + wrong.values > 0) {
      if (!nearest || std::pair(wrong.names, wrong.values) < std::pair(nearest->names, nearest->values)) {
        nearest = wrong;
        nearest_method = method->name;
      }
      continue;
    }
    task.method = method->name;
    for (const layers::Entry& e : layers::task_tensors(*network))
      task.tensors.push_back({e.name, *given.at(e.name)});
    break;  // of the methods that match, the first trains the least
  }
  REPRISE_CHECK(
      !task.method.empty(),
      "state dict: it was not trained on this backbone by any known method\n  nearest   {}: {} names "
      "and {} frozen tensors differ\n"
      "  first     {}\n  backbone  {} ({})",
      nearest_method, nearest->names, nearest->values, nearest->first, backbone.path, backbone.arch);
  std::ranges::sort(task.tensors, {}, &data::NamedTensor::name);
  task.arch = backbone.arch;
  task.backbone_identity = backbone.identity;
  task.classes = classes.empty() ? numbered_classes(count) : classes;
  task.size = backbone.size;
  task.device = name_of(backbone.device.kind);
  task.dtype = name_of(backbone.dtype);
  return task;
}

}  // namespace reprise::clr
