// For those who write ops: how an op puts its backward on the tape.
#pragma once

#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "engine/autograd/autograd.h"

namespace reprise {

// A tensor kept for backward. get() throws Error, with the op's and the tensor's name, if it was changed
// meanwhile.
class REPRISE_API Saved {
 public:
  Saved() = default;
  Saved(const Tensor& t, std::string name);  // "conv2d: filter"
  const Tensor& get() const;                 // undefined if an undefined tensor was saved
  operator const Tensor&() const { return get(); }

 private:
  Tensor tensor_;  // detached, so that a saved output does not keep its own node alive
  std::uint64_t version_ = 0;
  std::string name_;
};

// Which inputs want a gradient, in the order they were recorded.
class REPRISE_API Needs {
 public:
  bool operator[](std::size_t i) const { return wanted_[i]; }
  std::size_t size() const { return wanted_.size(); }
  // What the other uses of input i have given so far, for an op that can add its own share in place: it
  // returns the sum then. Undefined where there is nothing yet, or something else shares the memory.
  Tensor take_sum(std::size_t i) const;

  // For backward. `sum` may be null.
  void push_back(bool wanted, Tensor* sum);

 private:
  std::vector<bool> wanted_;
  std::vector<Tensor*> sums_;
};
// Gets d(loss)/d(output); returns one gradient per input, undefined where needs[i] is false. It may not keep
// or change dy. The dtype and shape of each gradient are the input's.
using BackwardFunction = std::function<std::vector<Tensor>(const Tensor& dy, const Needs& needs)>;

// True while gradients are recorded and one of the inputs wants one: only then has an op something to save.
REPRISE_API bool any_requires_grad(std::initializer_list<Tensor> inputs);
REPRISE_API bool any_requires_grad(const std::vector<Tensor>& inputs);

// Puts an op on the tape. Does nothing unless any_requires_grad(inputs).
REPRISE_API void record(const std::string& op, const std::vector<Tensor>& inputs, const Tensor& output,
                        BackwardFunction backward);
// For an op without a gradient: Error, by name, if one of its inputs wants one.
REPRISE_API void record_no_gradient(const std::string& op, const std::vector<Tensor>& inputs);

}  // namespace reprise
