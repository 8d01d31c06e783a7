// Gradients, define-by-run: ops record themselves; backward() walks the record in reverse.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/core/tensor.h"

namespace reprise {

// Marks a leaf, so that backward() leaves a gradient in it; `on = false` drops mark and gradient.
// Throws Error for an op's result, and for marking a tensor that is not floating or is sealed.
REPRISE_API void set_requires_grad(const Tensor& leaf, bool on = true);
// Returns whether gradients flow to t: a marked leaf, or the result of a recorded op.
REPRISE_API bool requires_grad(const Tensor& t);

// Returns the gradient that backward() left in a leaf, or in a result after retain_grad(), if any.
REPRISE_API Tensor grad(const Tensor& leaf);
REPRISE_API void clear_grad(const Tensor& leaf);  // else the next backward() adds to the gradient
// Makes the next backward() leave the gradient in this result of an op too, if one flows to it.
REPRISE_API void retain_grad(const Tensor& result);

// Computes d(loss)/d(leaf) for every marked leaf that led to `root`, and adds it to the leaf's
// gradient. `root_gradient` is d(loss)/d(root), with root's shape and dtype. It may be left out if
// root has one element, and is then 1. Frees the record on the way. Throws Error if no gradient
// flows to root, if part of the record was freed before, or if a saved tensor was written to.
REPRISE_API void backward(const Tensor& root, const Tensor& root_gradient = {});

// While an instance lives, ops of this thread record nothing. Instances may be nested.
class REPRISE_API NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool saved_;
};
REPRISE_API bool grad_enabled();  // whether ops of this thread record themselves

// One recorded op, for reading and teaching.
struct TapeOp {
  struct Input {
    enum class Kind { constant, leaf, result } kind;  // constant: no gradient flows to it
    std::uint64_t id;  // result: its op's id; leaf: its number, from 1; constant: 0
    Shape shape;
  };
  std::uint64_t id;       // grows in the order in which ops run
  std::string op, layer;  // layer: the path of the layer that ran the op; empty outside of layers
  std::vector<Input> inputs;
};
// Returns the recorded ops that led to `root`, the last first.
REPRISE_API std::vector<TapeOp> tape(const Tensor& root);
// Returns the same as text, one line per op: "#7 relu  <- #6[3, 4] leaf[4]".
REPRISE_API std::string describe_tape(const Tensor& root);

}  // namespace reprise
