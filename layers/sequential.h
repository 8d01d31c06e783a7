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
  // The same for options in braces: net.add<Conv2d>(3, 16, 3, {.padding = 1}).
  template <class M>
  M& add(typename M::Options options) {
    return add<M, typename M::Options>(std::move(options));
  }
  template <class M>
  M& add(int channels, typename M::Options options) {
    return add<M, int, typename M::Options>(std::move(channels), std::move(options));
  }
  template <class M>
  M& add(int in, int out, int kernel, typename M::Options options) {
    return add<M, int, int, int, typename M::Options>(std::move(in), std::move(out), std::move(kernel),
                                                      std::move(options));
  }
  Tensor forward(const Tensor& x) override;
  std::string_view type() const override { return "Sequential"; }

 private:
  std::vector<Module*> sequence_;
};

}  // namespace reprise::layers
