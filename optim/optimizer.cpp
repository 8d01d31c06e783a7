#include "optim/optimizer.h"

#include <algorithm>

#include <cmath>

#include "engine/autograd/autograd.h"
#include "engine/base/check.h"

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
    Slot slot{.parameter = p, .buffers = {}};
    for (std::size_t b = 0; b < buffer_names_.size(); ++b)
      slot.buffers.push_back(zeros(p.shape(), p.dtype(), p.device()));
    slots_.push_back(std::move(slot));
  }
}
Optimizer::~Optimizer() = default;

void Optimizer::step() {
  REPRISE_CHECK(std::ranges::any_of(slots_, [](const Slot& s) { return grad(s.parameter).defined(); }),
                "optimizer: none of the {} parameters has a gradient; call backward before step. If it was "
                "called, these are no longer the network's tensors: make the optimizer after Module::to "
                "and after tensors are replaced",
                slots_.size());
  for (Slot& slot : slots_) {
    const Tensor gradient = grad(slot.parameter);
    if (!gradient.defined()) continue;
    ++slot.steps;
    update(slot, gradient);
  }
}

void Optimizer::zero_grad() {
  for (const Slot& slot : slots_) clear_grad(slot.parameter);
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
      state[fmt::format("{}.{}", i, buffer_names_[b])] = slots_[i].buffers[b].clone();
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
      Tensor& buffer = slots_[i].buffers[b];
      copy_into(buffer, state.at(fmt::format("{}.{}", i, buffer_names_[b])).to(buffer.device()));
    }
  }
}

}  // namespace reprise::optim
