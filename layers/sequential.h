// A chain of modules: each one's output is the next one's input.
#pragma once

#include "layers/module.h"

namespace reprise::layers {

// Names its children "0", "1", ... in the order in which they are added:
//   Sequential net;
//   net.add<Linear>(2, 16), net.add<ReLU>(), net.add<Linear>(16, 3);
//   net.initialize(seed);
class REPRISE_API Sequential : public Module {
 public:
  template <class M, class... A>
  M& add(A&&... arguments) {
    M& module = child<M>(std::to_string(sequence_.size()), std::forward<A>(arguments)...);
    sequence_.push_back(&module);
    return module;
  }
  Tensor forward(const Tensor& x) override;
  std::string_view type() const override { return "Sequential"; }

 private:
  std::vector<Module*> sequence_;
};

}  // namespace reprise::layers
