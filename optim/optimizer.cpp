#include "optim/optimizer.h"

#include <algorithm>
#include <cmath>

#include "engine/autograd/autograd.h"
#include "engine/base/check.h"
#include "engine/ops/reduce.h"

namespace reprise::optim {

Optimizer::Optimizer(std::vector<Tensor> parameters, double lr, std::vector<std::string> buffer_names)
    : buffer_names_(std::move(buffer_names)) {
  set_lr(lr);
  REPRISE_CHECK(!parameters.empty(),
                "optimizer: there is no parameter to train; is the whole network frozen? "
                "(Module::set_requires_grad, Module::trained_parameters)");
  for (Tensor& p : parameters) {
    REPRISE_CHECK(requires_grad(p),
                  "optimizer: parameter {} requires no gradient; call set_requires_grad "
                  "on it first, or pass Module::trained_parameters()\n  param   {}",
                  slots_.size(), describe(p));
    Slot slot{.state = {p, {}, {}}};
    for (std::size_t b = 0; b < buffer_names_.size(); ++b)
      slot.state.buffers.push_back(zeros(p.shape(), p.dtype(), p.device()));
    slots_.push_back(std::move(slot));
  }
}
Optimizer::~Optimizer() = default;

// Parameters that were updated equally often take the same rates, and are updated together.
void Optimizer::step() {
  REPRISE_CHECK(std::ranges::any_of(slots_, [](const Slot& s) { return grad(s.state.parameter).defined(); }),
                "optimizer: none of the {} parameters has a gradient; call backward before step. If it was "
                "called, these are no longer the network's tensors: make the optimizer after Module::to "
                "and after tensors are replaced",
                slots_.size());
  if (!norm_sum_.defined()) norms();
  norm_sum_ = Tensor();
  std::map<std::int64_t, std::vector<ops::Update>> by_steps;
  for (Slot& slot : slots_) {
    const Tensor gradient = grad(slot.state.parameter);
    if (!gradient.defined()) continue;
    ++slot.steps;
    ops::Update& update = by_steps[slot.steps].emplace_back(slot.state);
    update.gradient = gradient;
  }
  for (auto& [steps, updates] : by_steps) update(updates, rates(steps).to(updates[0].parameter.device()));
}

void Optimizer::begin_step() {
  for (Slot& slot : slots_)
    REPRISE_CHECK(++slot.steps == slots_[0].steps, "optimizer: parameters were updated {} and {} times",
                  slots_[0].steps, slot.steps);
  const Tensor next = rates(slots_[0].steps);
  if (!rates_.defined()) rates_ = empty(next.shape(), next.dtype(), slots_[0].state.parameter.device());
  copy_into(rates_, next);
}

void Optimizer::finish_step() {
  if (!norm_sum_.defined()) norms();
  norm_sum_ = Tensor();
  std::vector<ops::Update> updates;
  for (const Slot& slot : slots_) {
    updates.push_back(slot.state);
    updates.back().gradient = grad(slot.state.parameter);
    REPRISE_CHECK(updates.back().gradient.defined(), "optimizer: parameter {} has no gradient\n  param   {}",
                  updates.size() - 1, describe(slot.state.parameter));
  }
  update(updates, rates_);
}

void Optimizer::penalise(const std::vector<Tensor>& parameters, NormKind kind, double lambda) {
  penalty_ = {lambda, kind};
  for (const Tensor& p : parameters) {
    const auto slot = std::find_if(slots_.begin(), slots_.end(), [&](const Slot& s) {
      return s.state.parameter.view().ptr == p.view().ptr;
    });
    REPRISE_CHECK(slot != slots_.end(),
                  "optimizer: a penalised tensor is not one of its parameters\n  tensor  {}", describe(p));
    slot->penalised = true;
  }
}

Tensor Optimizer::norms() {
  std::vector<Tensor> tensors;
  for (const Slot& slot : slots_)
    if (slot.penalised) tensors.push_back(slot.state.parameter);
  if (tensors.empty()) return {};
  ops::Norms norms = ops::norms_of(tensors, penalty_.kind);
  std::size_t next = 0;
  for (Slot& slot : slots_)
    if (slot.penalised) slot.state.norms = norms.each[next++];
  return norm_sum_ = norms.sum;
}

void Optimizer::zero_grad() {
  for (const Slot& slot : slots_) clear_grad(slot.state.parameter);
}

void Optimizer::set_lr(double lr) {
  REPRISE_CHECK(std::isfinite(lr) && lr >= 0, "optimizer: the learning rate must be 0 or more, got {}", lr);
  lr_ = lr;
}

std::int64_t Optimizer::updates() const {
  std::int64_t most = 0;
  for (const Slot& slot : slots_) most = std::max(most, slot.steps);
  return most;
}

std::map<std::string, Tensor> Optimizer::state() const {
  std::map<std::string, Tensor> state;
  std::vector<std::int64_t> steps;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    steps.push_back(slots_[i].steps);
    for (std::size_t b = 0; b < buffer_names_.size(); ++b)
      state[fmt::format("{}.{}", i, buffer_names_[b])] = slots_[i].state.buffers[b].clone();
  }
  state["steps"] = tensor({static_cast<std::int64_t>(steps.size())}, std::span<const std::int64_t>(steps));
  return state;
}

void Optimizer::load_state(const std::map<std::string, Tensor>& state) {
  const auto expected = this->state();
  for (const auto& [name, t] : state)
    REPRISE_CHECK(expected.contains(name),
                  "optimizer: the saved state has '{}', which this optimizer does not have", name);
  for (const auto& [name, t] : expected) {
    const auto found = state.find(name);
    REPRISE_CHECK(found != state.end(), "optimizer: the saved state lacks '{}'", name);
    REPRISE_CHECK(found->second.shape() == t.shape() && found->second.dtype() == t.dtype(),
                  "optimizer: the saved state does not fit\n  tensor  {}\n  saved   {}\n  here    {}", name,
                  describe(found->second), describe(t));
  }
  const std::int64_t* steps = state.at("steps").data<std::int64_t>();
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    slots_[i].steps = steps[i];
    for (std::size_t b = 0; b < buffer_names_.size(); ++b) {
      Tensor& buffer = slots_[i].state.buffers[b];
      copy_into(buffer, state.at(fmt::format("{}.{}", i, buffer_names_[b])).to(buffer.device()));
    }
  }
}

}  // namespace reprise::optim
