#include "layers/module.h"

#include <algorithm>
#include <optional>

#include "engine/autograd/autograd.h"
#include "engine/core/check.h"
#include "layers/observer.h"
#include "layers/torch_sequence.h"

namespace reprise::layers {
namespace {

std::string join(std::string_view path, std::string_view name) {
  return path.empty() ? std::string(name) : fmt::format("{}.{}", path, name);
}

// Replaces tensors through their handles; what required a gradient goes on requiring it.
template <class F>
void replace_tensors(Module& root, F f) {
  for (Entry& e : root.named_tensors()) {
    const bool wanted = requires_grad(*e.tensor);
    *e.tensor = f(*e.tensor);
    if (wanted) reprise::set_requires_grad(*e.tensor);
  }
}

}  // namespace

Module::~Module() = default;

Tensor Module::operator()(const Tensor& x) {
  std::optional<ErrorScope> scope;
  if (!path_.empty()) scope.emplace("layer", path_);
  Tensor y = forward(x);
  notify(x, y);
  return y;
}

void Module::notify(const Tensor& x, const Tensor& y) const {
  ForwardObserver::notify(*this, x, y);
}

std::int64_t Module::flops(const Shape&, const Shape&) const {
  return 0;
}
void Module::reset_parameters(const InitStreams&) {}

void Module::initialize(const InitStreams& streams) {
  for (Module* m : modules()) m->reset_parameters(streams);
  if (streams.torch != nullptr) streams.torch->finish();
}

std::vector<Module*> Module::modules() {
  std::vector<Module*> all{this};
  for (auto& [name, module] : children_) {
    const auto below = module->modules();
    all.insert(all.end(), below.begin(), below.end());
  }
  return all;
}

Module* Module::find(std::string_view path) {
  for (Module* m : modules())
    if (m->path_ == path) return m;
  return nullptr;
}

std::vector<Entry> Module::own_tensors() {
  std::vector<Entry> entries = own_;
  for (Entry& e : entries) e.name = join(path_, e.name);
  return entries;
}

std::vector<Entry> Module::named_tensors() {
  std::vector<Entry> entries;
  for (Module* m : modules()) {
    const auto own = m->own_tensors();
    entries.insert(entries.end(), own.begin(), own.end());
  }
  return entries;
}

std::int64_t Module::parameter_count() {
  std::int64_t count = 0;
  for (const Entry& e : named_tensors())
    if (!e.is_buffer) count += e.tensor->numel();
  return count;
}

std::vector<Tensor> Module::trained_parameters() {
  std::vector<Tensor> trained;
  for (const Entry& e : named_tensors())
    if (requires_grad(*e.tensor)) trained.push_back(*e.tensor);
  return trained;
}

void Module::train(bool on) {
  // Without allocating: destructors put the mode back.
  training_ = on;
  for (auto& [name, module] : children_) module->train(on);
}

void Module::set_requires_grad(bool on) {
  for (const Entry& e : named_tensors())
    if (!e.is_buffer) reprise::set_requires_grad(*e.tensor, on);
}

void Module::to(Device device) {
  replace_tensors(*this, [&](const Tensor& t) { return t.to(device); });
}
void Module::to(DType dtype) {
  REPRISE_CHECK(is_floating(dtype), "module: parameters cannot be {}", reprise::name_of(dtype));
  replace_tensors(*this, [&](const Tensor& t) { return t.to(parameter_dtype(dtype)); });
  for (Module* m : modules()) m->image_dtype_ = dtype;
}

void Module::seal_frozen() {
  for (const Entry& e : named_tensors())
    if (!e.is_buffer && !requires_grad(*e.tensor) && !e.tensor->is_sealed())
      *e.tensor = e.tensor->sealed_copy();
}

void Module::adopt(std::string name, std::unique_ptr<Module> child) {
  for (const auto& [known, module] : children_)
    REPRISE_INVARIANT(known != name, "{}: two children named {}", join(path_, name), name);
  child->set_path(join(path_, name));
  children_.emplace_back(std::move(name), std::move(child));
}

void Module::drop_child(std::string_view name) {
  std::erase_if(children_, [&](const auto& c) { return c.first == name; });
}

void Module::register_parameter(std::string name, Tensor& tensor, FileLayout layout) {
  reprise::set_requires_grad(tensor);
  own_.push_back({std::move(name), &tensor, layout, false});
}
void Module::register_buffer(std::string name, Tensor& tensor) {
  own_.push_back({std::move(name), &tensor, FileLayout::plain, true});
}

std::string Module::name_of_tensor(std::string_view name) const {
  return join(path_, name);
}

void Module::set_path(std::string path) {
  path_ = std::move(path);
  for (auto& [name, module] : children_) module->set_path(join(path_, name));
}

}  // namespace reprise::layers
