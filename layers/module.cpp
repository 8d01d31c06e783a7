#include "layers/module.h"

#include <algorithm>
#include <optional>

#include "engine/autograd/autograd.h"
#include "engine/base/check.h"
#include "layers/linear.h"
#include "layers/observer.h"
#include "layers/simple.h"
#include "layers/torch_sequence.h"

namespace reprise::layers {
namespace {

std::string join(std::string_view path, std::string_view name) {
  return path.empty() ? std::string(name) : fmt::format("{}.{}", path, name);
}

template <class M>
auto tensors_of(const std::vector<M*>& modules) {
  decltype(modules[0]->own_tensors()) entries;
  const Flatten* flatten = nullptr;
  for (M* m : modules) {
    if (const auto* found = dynamic_cast<const Flatten*>(m)) flatten = found;
    const bool linear = dynamic_cast<const Linear*>(m) != nullptr;
    auto own = m->own_tensors();
    for (auto& e : own)
      if (!linear || e.tensor->rank() == 2) e.flatten = flatten;
    if (linear) flatten = nullptr;
    entries.insert(entries.end(), own.begin(), own.end());
  }
  return entries;
}

}  // namespace

Module::~Module() = default;

Tensor Module::operator()(const Tensor& x) {
  std::optional<ErrorScope> scope;
  if (!path_.empty()) scope.emplace("layer", path_);
  if (path_.empty() && training_ && grad_enabled()) check_marks();
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
  std::vector<Entry> entries(own_.begin(), own_.end());
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
  check_marks();
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
  for (Module* m : modules())
    for (Own& o : m->own_)
      if (!o.is_buffer) mark(o, on);
}

void Module::mark(Own& own, bool on) {
  reprise::set_requires_grad(*own.tensor, on);
  own.trained = on;
  own.storage = own.tensor->storage();
}

void Module::check_marks() const {
  for (const Module* m : modules())
    for (const Own& o : m->own_)
      REPRISE_CHECK(requires_grad(*o.tensor) || !o.trained || o.storage.lock() == o.tensor->storage(),
                    "module: {} was replaced by a tensor that requires no gradient, and would not be "
                    "trained; call set_requires_grad(true) on the module after the assignment, or "
                    "set_requires_grad(false) to freeze it",
                    join(m->path_, o.name));
}

// Replaces every tensor t of the tree by f(t). A parameter that required a gradient still does.
template <class F>
void Module::replace_tensors(F f) {
  for (Module* m : modules())
    for (Own& o : m->own_) {
      const bool wanted = requires_grad(*o.tensor);
      *o.tensor = f(*o.tensor);
      if (!o.is_buffer) mark(o, wanted);
    }
}

void Module::to(Device device) {
  replace_tensors([&](const Tensor& t) { return t.to(device); });
}
void Module::to(DType dtype) {
  REPRISE_CHECK(is_floating(dtype), "module: parameters must have a floating-point dtype, got {}",
                reprise::name_of(dtype));
  replace_tensors([&](const Tensor& t) { return t.to(parameter_dtype(dtype)); });
  for (Module* m : modules()) m->image_dtype_ = dtype;
}

void Module::seal_frozen() {
  for (Module* m : modules())
    for (Own& o : m->own_) {
      if (o.is_buffer || requires_grad(*o.tensor) || o.tensor->is_sealed()) continue;
      *o.tensor = o.tensor->sealed_copy();
      mark(o, false);
    }
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
  own_.push_back({{std::move(name), &tensor, layout, false}});
  mark(own_.back(), true);
}
void Module::register_buffer(std::string name, Tensor& tensor) {
  own_.push_back({{std::move(name), &tensor, FileLayout::plain, true}});
}

std::string Module::name_of_tensor(std::string_view name) const {
  return join(path_, name);
}

void Module::set_path(std::string path) {
  path_ = std::move(path);
  for (auto& [name, module] : children_) module->set_path(join(path_, name));
}

}  // namespace reprise::layers
