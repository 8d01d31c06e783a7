// What every layer is: a module with named tensors and named children, one tensor in, one tensor out.
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

// A tensor of a module tree, under its dotted name ("layer1.0.bn1.running_mean").
template <class T>
struct EntryOf {
  std::string name;
  T* tensor;          // the module's own handle: assigning to it replaces the tensor
  FileLayout layout;  // how memory and file order its dimensions
  bool is_buffer;     // changed by the forward, not by a gradient
};
using Entry = EntryOf<Tensor>;
using ConstEntry = EntryOf<const Tensor>;  // of a const module: its tensors can be read only

// Names are PyTorch's, and so is the state dict, but for num_batches_tracked, which nothing here needs and no
// module keeps. A derived constructor registers its tensors and children, in PyTorch's order.
class REPRISE_API Module {
 public:
  Module() = default;
  virtual ~Module();
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  virtual Tensor forward(const Tensor& x) = 0;
  // The forward, with this module's path in every error and its output shown to the observers.
  Tensor operator()(const Tensor& x);

  virtual std::string_view type() const { return "Module"; }
  // Floating-point operations for one output of shape y from an input of shape x, children not counted; a
  // multiplication and an addition are two.
  virtual std::int64_t flops(const Shape& x, const Shape& y) const;
  // Draws this module's own parameters anew (not its children's) each from a stream of its
  // own, so that no draw depends on another. Until then they are zeros, or ones where that is the identity.
  virtual void reset_parameters(const InitStreams& streams);
  void initialize(const InitStreams& streams);  // reset_parameters of the whole tree

  const std::string& path() const { return path_; }  // from the root: "layer1.0.conv1"; the root's is ""
  bool has_children() const { return !children_.empty(); }

  std::vector<Module*> modules();  // this module first, then depth first as registered
  std::vector<const Module*> modules() const;
  Module* find(std::string_view path);  // null where there is none
  const Module* find(std::string_view path) const;
  std::vector<Entry> named_tensors();  // of the whole tree, in the order of modules()
  std::vector<ConstEntry> named_tensors() const;
  std::vector<Entry> own_tensors();  // without the children's
  std::vector<ConstEntry> own_tensors() const;
  std::int64_t parameter_count() const;            // numbers in parameters, buffers not counted
  std::vector<Tensor> trained_parameters() const;  // those that require a gradient

  void train(bool on = true);  // the mode of the whole tree
  bool is_training() const { return training_; }

  // For every parameter of the tree; buffers never have a gradient. New parameters require one.
  void set_requires_grad(bool on);
  // Replaces tensors by their copies there, or for that dtype; a parameter goes on requiring its gradient.
  // Make optimizers afterwards, and seal afterwards: a copy is not sealed.
  void to(Device device);
  // The dtype of the images that it will see: parameters and buffers become parameter_dtype(dtype), f32 for
  // bf16.
  void to(DType dtype);
  DType image_dtype() const { return image_dtype_; }
  // Replaces every parameter that requires no gradient by a copy in read-only memory.
  void seal_frozen();

 protected:
  // Makes a child. It lives as long as this module, at a fixed address.
  template <class M, class... A>
  M& child(std::string name, A&&... arguments) {
    auto made = std::make_unique<M>(std::forward<A>(arguments)...);
    M& module = *made;
    adopt(std::move(name), std::move(made));
    return module;
  }
  void adopt(std::string name, std::unique_ptr<Module> child);
  void drop_child(std::string_view name);
  // `tensor` is a member of the derived class.
  void register_parameter(std::string name, Tensor& tensor, FileLayout layout = FileLayout::plain);
  void register_buffer(std::string name, Tensor& tensor);
  // Shows an output to the observers; operator() does so.
  void notify(const Tensor& x, const Tensor& y) const;
  // "<path>.<name>"
  std::string name_of_tensor(std::string_view name) const;

 private:
  template <class M>  // Module or const Module
  static void collect(M& root, std::vector<M*>& all);
  void set_path(std::string path);

  std::string path_;
  std::vector<Entry> own_;  // names without the path
  std::vector<std::pair<std::string, std::unique_ptr<Module>>> children_;
  bool training_ = true;
  DType image_dtype_ = DType::f32;
};

}  // namespace reprise::layers
