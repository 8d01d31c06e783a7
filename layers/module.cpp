#include "layers/module.h"

#include <algorithm>
#include <optional>

#include "engine/autograd/autograd.h"
#include "engine/base/check.h"
#include "layers/observer.h"
#include "layers/torch_sequence.h"

namespace reprise::layers {
namespace {

std::string join(std::string_view path, std::string_view name) {
  return path.empty() ? std::string(name) : fmt::format("{}.{}", path, name);
}

// Replaces every tensor t of the tree by f(t). A parameter that required a gradient still does.
template <class F>
void replace_tensors(Module& root, F f) {
  for (Entry& e : root.named_tensors()) {
    const bool wanted = requires_grad(*e.tensor);
    *e.tensor = f(*e.tensor);
    if (wanted) reprise::set_requires_grad(*e.tensor);
  }
}

template <class M>
auto tensors_of(const std::vector<M*>& modules) {
  decltype(modules[0]->own_tensors()) entries;
  for (M* m : modules) {
    const auto own = m->own_tensors();
    entries.insert(entries.end(), own.begin(), own.end());
  }
  return entries;
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

template <class M>
void Module::collect(M& root, std::vector<M*>& all) {
  all.push_back(&root);
  for (auto& [name, module] : root.children_) collect<M>(*module, all);
}
std::vector<Module*> Module::modules() {
  std::vector<Module*> all;
  collect(*this, all);
  return all;
}
std::vector<const Module*> Module::modules() const {
  std::vector<const Module*> all;
  collect(*this, all);
  return all;
}

const Module* Module::find(std::string_view path) const {
  for (const Module* m : modules())
    if (m->path_ == path) return m;
  return nullptr;
}
Module* Module::find(std::string_view path) {
  return const_cast<Module*>(std::as_const(*this).find(path));
}

std::vector<Entry> Module::own_tensors() {
  std::vector<Entry> entries = own_;
  for (Entry& e : entries) e.name = join(path_, e.name);
  return entries;
}
std::vector<ConstEntry> Module::own_tensors() const {
  std::vector<ConstEntry> entries;
  for (const Entry& e : own_) entries.push_back({join(path_, e.name), e.tensor, e.layout, e.is_buffer});
  return entries;
}

std::vector<Entry> Module::named_tensors() {
  return tensors_of(modules());
}
std::vector<ConstEntry> Module::named_tensors() const {
  return tensors_of(modules());
}

std::int64_t Module::parameter_count() const {
  std::int64_t count = 0;
  for (const ConstEntry& e : named_tensors())
    if (!e.is_buffer) count += e.tensor->numel();
  return count;
}

std::vector<Tensor> Module::trained_parameters() const {
  std::vector<Tensor> trained;
  for (const ConstEntry& e : named_tensors())
    if (requires_grad(*e.tensor)) trained.push_back(*e.tensor);
  return trained;
}

void Module::train(bool on) {
  // Recursion instead of modules(), which allocates:
  // destructors that restore the mode must not throw.
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
  REPRISE_CHECK(is_floating(dtype), "module: parameters must have a floating-point dtype, got {}",
                reprise::name_of(dtype));
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
