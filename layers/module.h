// Module, the base of every layer: a function of one tensor, with named tensors and named children.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/core/file_layout.h"
#include "engine/core/tensor.h"
#include "layers/init.h"

namespace reprise::layers {

class Flatten;

// A tensor of a module tree, under its dotted name ("layer1.0.bn1.running_mean").
template <class T>
struct EntryOf {
  std::string name;
  T* tensor;          // in the module, valid as long as the module; may be replaced by a marked one
  FileLayout layout;  // the order of the dimensions in weight files
  bool is_buffer;     // true for a tensor that the forward updates, false for a parameter
  // In named_tensors(): the Flatten whose columns this tensor has; null for all others.
  const Flatten* flatten = nullptr;
};
using Entry = EntryOf<Tensor>;
using ConstEntry = EntryOf<const Tensor>;  // an entry of a const module; its tensor cannot be replaced

// A node of a tree of modules. Each module owns its children.
// Names and state dict are PyTorch's, except that no module keeps num_batches_tracked.
// The constructor of a derived class registers tensors and children in PyTorch's order.
class REPRISE_API Module {
 public:
  Module() = default;
  virtual ~Module();
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  // Computes the module's output. Callers use operator() instead.
  virtual Tensor forward(const Tensor& x) = 0;
  // Calls forward. Errors thrown in it name this module's path, and observers see the output.
  Tensor operator()(const Tensor& x);

  // Returns the name of the module's type, such as "Conv2d".
  virtual std::string_view type() const { return "Module"; }
  // Returns the number of floating-point operations that compute an output of shape y from an input
  // of shape x, without the children's. A multiply-add counts as two. The default is 0.
  virtual std::int64_t flops(const Shape& x, const Shape& y) const;
  // Samples new start values for this module's own parameters, not for its children's.
  // Before the first call, parameters have no values, and ops refuse them; but batch norm and
  // DepthwiseReprogram start as the identity.
  virtual void reset_parameters(const InitStreams& streams);
  // Calls reset_parameters on the whole tree.
  void initialize(const InitStreams& streams);

  // The dotted name from the root: "layer1.0.conv1"; "" for the root.
  const std::string& path() const { return path_; }
  bool has_children() const { return !children_.empty(); }

  std::vector<Module*> modules();  // this module, then its descendants depth-first, in order of registration
  std::vector<const Module*> modules() const;
  Module* find(std::string_view path);  // the module of that path in this tree, or null
  const Module* find(std::string_view path) const;
  std::vector<Entry> named_tensors();  // parameters and buffers of the tree, in the order of modules()
  std::vector<ConstEntry> named_tensors() const;
  std::vector<Entry> own_tensors();  // this module's only, not its children's
  std::vector<ConstEntry> own_tensors() const;
  std::int64_t parameter_count() const;  // numbers in the tree's parameters, without buffers
  // Returns the tree's parameters that require a gradient. As a forward in training does, it throws
  // Error if a parameter was replaced by a tensor without a mark (weight = ...) while not frozen.
  std::vector<Tensor> trained_parameters() const;

  // Puts the whole tree into training mode (the initial one) or evaluation mode.
  void train(bool on = true);
  bool is_training() const { return training_; }

  // Sets whether the tree's parameters require a gradient. New parameters do; buffers never do.
  void set_requires_grad(bool on);
  // Replaces the tree's tensors by copies on `device`. A parameter that required a gradient still
  // does. Create optimizers and seal only afterwards: optimizers hold the old tensors, and copies
  // are not sealed.
  void to(Device device);
  // Sets the dtype of the input images. Parameters and buffers are replaced as above by copies in
  // parameter_dtype(dtype), which is f32 for bf16. Throws Error unless dtype is floating-point.
  void to(DType dtype);
  DType image_dtype() const { return image_dtype_; }
  // Replaces every parameter that requires no gradient by a copy in read-only memory.
  void seal_frozen();

 protected:
  // Constructs a child from `arguments`. This module owns it, and its address does not change.
  template <class M, class... A>
  M& child(std::string name, A&&... arguments) {
    auto made = std::make_unique<M>(std::forward<A>(arguments)...);
    M& module = *made;
    adopt(std::move(name), std::move(made));
    return module;
  }
  // Adds a child that exists already; its name must be new.
  void adopt(std::string name, std::unique_ptr<Module> child);
  void drop_child(std::string_view name);  // destroys the child, if there is one of that name
  // Registers `tensor`, a member of the derived class, under `name`.
  void register_parameter(std::string name, Tensor& tensor, FileLayout layout = FileLayout::plain);
  void register_buffer(std::string name, Tensor& tensor);
  // Shows input and output to the observers. operator() does it for forward.
  void notify(const Tensor& x, const Tensor& y) const;
  // Returns "<path>.<name>".
  std::string name_of_tensor(std::string_view name) const;

 private:
  template <class M>  // Module or const Module
  static void collect(M& root, std::vector<M*>& all);
  void set_path(std::string path);

  std::string path_;
  // An entry without the path in its name; whether the module marks it, and on which storage.
  struct Own : Entry {
    bool trained = false;
    std::weak_ptr<Storage> storage = {};
  };
  static void mark(Own& own, bool on);
  template <class F>
  void replace_tensors(F f);
  void check_marks() const;
  std::vector<Own> own_;
  std::vector<std::pair<std::string, std::unique_ptr<Module>>> children_;
  bool training_ = true;
  DType image_dtype_ = DType::f32;
};

}  // namespace reprise::layers
