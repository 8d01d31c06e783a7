// Gradients, define-by-run: ops record themselves; backward() walks the record in reverse.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/core/tensor.h"

namespace reprise {

// Marks a leaf, so that backward() leaves a gradient in it. `on = false` removes mark and gradient.
// Throws Error if the tensor is an op's result, or would be marked but is sealed or not floating.
REPRISE_API void set_requires_grad(const Tensor& leaf, bool on = true);
// Returns whether gradients flow to t: a marked leaf, or the result of a recorded op.
REPRISE_API bool requires_grad(const Tensor& t);
REPRISE_API bool is_leaf(const Tensor& t);  // whether t is marked

// Returns the gradient that backward() left in a leaf, or in a result after retain_grad().
// Undefined if there is none. Do not write to it: several leaves may share its memory.
REPRISE_API Tensor grad(const Tensor& leaf);
// Drops the gradient. Without this call the next backward() adds to it.
REPRISE_API void clear_grad(const Tensor& leaf);
// Makes backward() leave the gradient in this op's result too. Does nothing if none flows to it.
REPRISE_API void retain_grad(const Tensor& result);

// Computes d(loss)/d(leaf) for every marked leaf that led to `root`, and adds it to the leaf's
// gradient. `root_gradient` is d(loss)/d(root), with root's shape and dtype; if root has one
// element, the default is 1. Frees the record on the way. Throws Error if no gradient
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
