#include "apps/clr/learn/backbone.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "apps/clr/learn/errors.h"
#include "apps/clr/learn/network_weights.h"
#include "apps/clr/learn/table.h"
#include "apps/clr/learn/task_file.h"
#include "data/weights/weight_file.h"
#include "engine/autograd/autograd.h"
#include "engine/base/check.h"
#include "engine/core/storage.h"
#include "layers/init.h"
#include "layers/network.h"
#include "layers/reprogramming/method.h"
#include "layers/torch_sequence.h"

namespace reprise::clr {
namespace {

// Returns the names of the tensors of all modules after `until`. Modules are registered in the
// order in which they run.
std::set<std::string> names_after(const layers::Network& network, const std::string& until) {
  const layers::Module* last = network.find(until);
  REPRISE_CHECK(last != nullptr && !until.empty(), "--until: {} has no module named '{}'; it has {}",
                network.arch(), until, [&] {
                  std::string all;
                  for (const layers::Module* m : network.modules())
                    if (!m->path().empty()) all += (all.empty() ? "" : ", ") + m->path();
                  return all;
                }());
  std::set<std::string> behind;
  bool passed = false;
  for (const layers::Module* m : network.modules()) {
    if (m == last) {
      passed = true;
    } else if (passed && !m->path().starts_with(until + ".")) {
      for (const layers::ConstEntry& e : m->own_tensors()) behind.insert(e.name);
    }
  }
  return behind;
}

// Throws Error unless every tensor of the body fits, except those of modules after `until`.
void check_complete(const std::string& path, const LoadReport& report, const layers::Network& network,
                    const std::string& until) {
  std::set<std::string> needless;
  if (!until.empty()) needless = names_after(network, until);
  LoadReport wrong = report;
  for (auto* lines : {&wrong.missing, &wrong.shape_differs})
    std::erase_if(*lines, [&](const std::string& line) {
      const std::string name = line.substr(0, line.find_first_of(" :"));
      return name.starts_with(network.head_name() + ".") || needless.contains(name);
    });
  if (wrong.missing.empty() && wrong.shape_differs.empty()) return;
  throw_error("{}: the tensors do not fit {}\n  {}", path, network.arch(), wrong.text());
}

// Returns the architecture that was asked for, else the one
// that the file records, else the one that fits.
std::string architecture_of(const std::string& asked, const NetworkWeights& w) {
  if (asked != "auto") return checked_architecture(asked);
  if (w.network) return w.network->arch;
  std::string unread;
  for (const auto& [name, why] : w.file.unread)
    if (unread.size() < 2000) unread += fmt::format("\n  not read {}: {}", name, why);
  throw_error(
      "{}: its {} tensors are not those of a network that clr knows\n  known    {}{}\n  `clr info` lists "
      "what the file holds; --arch NAME shows how it differs from NAME",
      w.file.path, w.file.tensors.size(), fmt::join(layers::known_architectures(), ", "), unread);
}

std::map<std::string, std::int64_t> batches_tracked(const std::vector<data::NamedTensor>& tensors) {
  const std::string suffix = ".num_batches_tracked";
  std::map<std::string, std::int64_t> counts;
  for (const auto& [name, tensor] : tensors)
    if (name.ends_with(suffix) && tensor.dtype() == DType::i64 && tensor.numel() == 1)
      counts[name.substr(0, name.size() - suffix.size())] = tensor.data<std::int64_t>()[0];
  return counts;
}

}  // namespace

void check_numbers(const std::string& path, const std::string& name, const Tensor& tensor) {
  const Tensor values = tensor.to(DType::f64);
  const bool is_variance = name.ends_with("running_var");
  for (std::int64_t i = 0; i < values.numel(); ++i) {
    const double v = values.data<double>()[i];
    REPRISE_CHECK(std::isfinite(v) && !(is_variance && v < 0),
                  "{}: {}{} is {}, where {} was expected; the file is damaged or its training diverged: take "
                  "another checkpoint",
                  path, name, place_text(tensor.shape(), i), v,
                  is_variance ? "a variance, finite and not negative" : "a finite number");
  }
}

Backbone load_backbone(const WeightSource& source, const std::string& arch, Device device, DType dtype,
                       const std::string& until) {
  if (arch != "auto") checked_architecture(arch);
  const NetworkWeights w = read_network_weights(source, arch);
  REPRISE_CHECK(!is_task_file(w.file), "{}: this is a learned task, not a backbone", source.path);
  w.check_chosen();
  const auto& tensors = w.tensors;

  Backbone b;
  b.path = source.path;
  b.place = w.place();
  b.file_sha256 = w.file.file_sha256;
  b.device = device;
  b.dtype = dtype;
  b.arch = architecture_of(arch, w);
  auto network = layers::make_network(b.arch, 1);
  b.classes = classes_of(tensors, *network);
  if (b.classes > 1) network->replace_head(b.classes, 0);
  b.report = w.network ? w.network->report : recognise(tensors, b.arch)->report;
  check_complete(b.path, b.report, *network, until);
  // The file of a larger network may contain all tensors of a
  // smaller one; the smaller one is then not meant.
  if (const auto match = b.report.extra.empty() ? std::nullopt : recognise(tensors, "auto"); match)
    REPRISE_CHECK(match->arch == b.arch || match->report.extra.size() >= b.report.extra.size(),
                  "{}: the tensors do not fit {}: they are those of {}\n  {}", b.path, b.arch, match->arch,
                  b.report.text());
  if (const auto recorded = w.file.metadata.find("preprocessing"); recorded != w.file.metadata.end())
    b.size = preprocessed_size(recorded->second);
  if (b.size == 0) b.size = network->default_size();

  const std::set<std::string> matched(b.report.matched.begin(), b.report.matched.end());
  for (const auto& [name, tensor] : tensors)
    if (matched.contains(name)) check_numbers(b.path, w.prefix + name, tensor.to(parameter_dtype(dtype)));
  network->to(dtype);
  layers::load_state_dict(*network, tensors, /*strict=*/false);
  for (const layers::Entry& e : network->named_tensors())
    if (matched.contains(e.name)) b.weights[e.name] = e.tensor->to(device).sealed_copy();
  b.batches_tracked = batches_tracked(tensors);
  b.identity = identity_of(tensors, b.arch);
  return b;
}

Backbone architecture_only(const std::string& arch, Device device, DType dtype) {
  if (arch.empty() || arch == "auto")
    throw BadValue("arch", "",
                   fmt::format("an architecture where there is no backbone: one of {}",
                               fmt::join(layers::known_architectures(), ", ")));
  Backbone b;
  b.arch = checked_architecture(arch);
  b.identity = no_identity;
  b.size = layers::make_network(arch, 1)->default_size();
  b.device = device;
  b.dtype = dtype;
  return b;
}

Backbone backbone_for(const std::string& method, const WeightSource& source, const std::string& arch,
                      Device device, DType dtype, const std::string& until) {
  const std::string& path = source.path;
  const bool alone = !method.empty() && layers::find_method(method).starts_at_random;
  if (alone && !path.empty())
    throw BadValue("backbone", path,
                   fmt::format("none: method {} starts from random values; it takes --arch instead", method));
  if (alone) return architecture_only(arch, device, dtype);
  if (path.empty()) throw BadValue("backbone", "", "the weight file of a pretrained network");
  return load_backbone(source, arch, device, dtype, until);
}

// Puts the weights into a network in a method's form: frozen tensors share the sealed memory,
// trained ones are copies.
void Backbone::put_weights(layers::Network& network, const layers::Method& method) const {
  for (const layers::Entry& e : network.named_tensors()) {
    const auto w = weights.find(e.name);
    if (w == weights.end() || w->second.shape() != e.tensor->shape()) continue;
    const bool trained = e.is_buffer ? method.trains_batch_norm : requires_grad(*e.tensor);
    *e.tensor = trained ? w->second.clone() : w->second;
    if (trained && !e.is_buffer) set_requires_grad(*e.tensor);
  }
}

std::unique_ptr<layers::Network> Backbone::pretrained(const std::string& method, std::uint64_t seed) const {
  auto network = layers::make_network(arch, std::max(classes, 1));
  network->to(dtype);
  network->to(device);
  network->set_requires_grad(false);
  if (method.empty()) {
    for (const layers::Entry& e : network->named_tensors())
      if (const auto w = weights.find(e.name); w != weights.end()) *e.tensor = w->second;
  } else {
    if (is_none()) network->initialize(seed);
    const layers::Method& applied = layers::apply_method(*network, method);
    put_weights(*network, applied);
    layers::start_values(*network, seed);
  }
  for (const layers::Entry& e : network->named_tensors())  // the file has no head, or ends at --until
    if (!e.tensor->is_written()) copy_into(*e.tensor, zeros(e.tensor->shape(), e.tensor->dtype(), device));
  network->train(false);
  return network;
}

std::unique_ptr<layers::Network> Backbone::instantiate(const std::string& method, int classes_of_task,
                                                       std::uint64_t seed, const std::string& task) const {
  return instantiate(method, classes_of_task, layers::InitStreams(seed, task + "/"));
}

std::unique_ptr<layers::Network> Backbone::instantiate(const std::string& method, int classes_of_task,
                                                       TorchGenerator& generator) const {
  if (!is_none()) {
    const auto pretrained = layers::make_network(arch, constructed_classes());
    layers::TorchSequence passed_over(generator, /*with_values=*/false);
    pretrained->initialize(passed_over);
  }
  layers::TorchSequence sequence(generator);
  return instantiate(method, classes_of_task, layers::InitStreams(sequence));
}

int Backbone::constructed_classes() const {
  return classes > 0 ? classes : layers::make_network(arch, 1)->default_classes();
}

std::unique_ptr<layers::Network> Backbone::instantiate(const std::string& method, int classes_of_task,
                                                       const layers::InitStreams& streams) const {
  const layers::Method& wanted = layers::find_method(method);
  if (wanted.starts_at_random != is_none())
    throw BadValue("method", method,
                   is_none()
                       ? "one that starts from random values, where there is no backbone"
                       : fmt::format("one that starts from the backbone {}, not from random values", path));
  auto network = layers::make_network(arch, is_none() ? constructed_classes() : classes_of_task);
  network->to(dtype);
  network->to(device);
  if (is_none()) network->initialize(streams);
  layers::apply_method(*network, method);
  put_weights(*network, wanted);
  layers::start_values(*network, streams);
  network->replace_head(classes_of_task, streams);
  return network;
}

void Backbone::verify() const {
  for (const auto& [name, tensor] : weights) {
    const ErrorScope scope("tensor", name);
    tensor.storage()->verify_seal();
  }
}

std::int64_t Backbone::parameters() const {
  std::int64_t count = 0;
  for (const auto& [name, tensor] : weights)
    if (!name.ends_with("running_mean") && !name.ends_with("running_var")) count += tensor.numel();
  return count;
}

std::int64_t Backbone::bytes() const {
  std::int64_t count = 0;
  for (const auto& [name, tensor] : weights) count += static_cast<std::int64_t>(tensor.bytes());
  return count;
}

std::string Backbone::describe() const {
  if (is_none()) return fmt::format("no backbone: {} from random values", arch);
  std::string text = fmt::format("backbone {}{}: {}, {} parameters, identity {}", path,
                                 place.empty() ? "" : fmt::format(" ({})", place), arch,
                                 grouped(parameters()), identity.substr(0, 16));
  if (!report.missing.empty() || !report.extra.empty() || !report.shape_differs.empty())
    text += "\n  " + report.text();
  return text;
}

}  // namespace reprise::clr
