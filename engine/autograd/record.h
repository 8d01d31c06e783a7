// For authors of ops: how an op puts its backward on the tape.
#pragma once

#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "engine/autograd/autograd.h"

namespace reprise {

// A tensor kept for backward. get() throws Error if its storage was written to after it was saved.
// In strict mode it compares the bytes too, on the host.
class REPRISE_API Saved {
 public:
  Saved() = default;
  Saved(const Tensor& t, std::string name);  // name: for the message, "conv2d: filter"
  const Tensor& get() const;                 // undefined if an undefined tensor was saved
  operator const Tensor&() const { return get(); }

 private:
  Tensor tensor_;  // detached, so that a saved output does not keep its own node alive
  std::uint64_t version_ = 0;
  std::size_t hash_ = 0;
  std::string name_;
};

// Tells a backward function which inputs want a gradient, in the order in which they were recorded.
class REPRISE_API Needs {
 public:
  bool operator[](std::size_t i) const { return wanted_[i]; }
  std::size_t size() const { return wanted_.size(); }
  // For an op that can add its gradient of input i in place. Returns the sum of the gradients that
  // other uses of the input have given so far. The op then adds its own gradient to the sum and
  // gives the sum as its gradient of input i. Returns an undefined tensor if there is no sum yet,
  // or if something else shares the sum's memory.
  Tensor take_sum(std::size_t i) const;

  // For backward() only. `sum` may be null.
  void push_back(bool wanted, Tensor* sum);

 private:
  std::vector<bool> wanted_;
  std::vector<Tensor*> sums_;
};
// An op's backward: takes dy = d(loss)/d(output), returns one gradient per input,
// with the input's shape and dtype. Gradient i may be undefined if needs[i] is false.
// The function must not write to dy, but may return it.
using BackwardFunction = std::function<std::vector<Tensor>(const Tensor& dy, const Needs& needs)>;

// Returns whether an op on these inputs would be recorded. If not, it need not save tensors.
REPRISE_API bool any_requires_grad(std::initializer_list<Tensor> inputs);
REPRISE_API bool any_requires_grad(const std::vector<Tensor>& inputs);

// Puts an op on the tape; does nothing unless any_requires_grad(inputs). Inputs may be undefined.
REPRISE_API void record(const std::string& op, const std::vector<Tensor>& inputs, const Tensor& output,
                        BackwardFunction backward);
// For an op without a gradient: throws Error, naming the op, if one of its inputs wants a gradient.
REPRISE_API void record_no_gradient(const std::string& op, const std::vector<Tensor>& inputs);

}  // namespace reprise
