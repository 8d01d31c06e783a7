// Gradients, the define-by-run way: ops record themselves as they run, backward walks the record from its
// end.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/core/tensor.h"

namespace reprise {

// Marks a leaf: backward will leave a gradient in it. Only floating tensors, never sealed ones.
REPRISE_API void set_requires_grad(const Tensor& leaf, bool on = true);
// Whether a gradient flows to this tensor: a marked leaf, or the result of an op on one.
REPRISE_API bool requires_grad(const Tensor& t);

// The gradient that backward left in a leaf, or in a result that was to retain it; undefined where there is
// none yet.
REPRISE_API Tensor grad(const Tensor& leaf);
REPRISE_API void clear_grad(const Tensor& leaf);
// The next backward leaves the gradient in this result of an op too. Nothing happens where none flows to it.
REPRISE_API void retain_grad(const Tensor& result);

// Computes d(root)/d(leaf) for every marked leaf and adds it to the leaf's gradient. `root_gradient`
// is d(loss)/d(root), of root's shape; it may be left out where root has one element. What was recorded is freed
// on the way: a second call through the same record is an Error, and so is a saved tensor that has changed
// since it was saved.
REPRISE_API void backward(const Tensor& root, const Tensor& root_gradient = {});

// While it lives, ops of this thread record nothing.
class REPRISE_API NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool saved_;
};
REPRISE_API bool grad_enabled();

// The record behind a tensor, for reading and teaching: its ops, the last first.
struct TapeOp {
  struct Input {
    enum class Kind { constant, leaf, result } kind;
    std::uint64_t id;  // of the op whose result it is; leaves are counted from 1, constants are 0
    Shape shape;
  };
  std::uint64_t id;
  std::string op, layer;  // layer: in whose forward it ran, empty outside of one
  std::vector<Input> inputs;
};
REPRISE_API std::vector<TapeOp> tape(const Tensor& root);
// The same as text, a line an op: "#7 relu  <- #6[3, 4] leaf[4]".
REPRISE_API std::string describe_tape(const Tensor& root);

}  // namespace reprise
