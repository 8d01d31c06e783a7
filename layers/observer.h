// Watching a forward from outside: a callback sees the input and output of every module.
#pragma once

#include <functional>
#include <string>

#include "layers/module.h"

namespace reprise::layers {

// While it lives, calls `callback` after every module that runs in this thread,
// children before their parents. Observers nest like scopes; the outermost is called first.
// conv_bn runs module by module meanwhile.
class REPRISE_API ForwardObserver {
 public:
  using Callback = std::function<void(const Module& module, const Tensor& input, const Tensor& output)>;
  explicit ForwardObserver(Callback callback);
  ~ForwardObserver();
  ForwardObserver(const ForwardObserver&) = delete;
  ForwardObserver& operator=(const ForwardObserver&) = delete;

  static bool is_watching();  // whether this thread has an observer
  // Calls this thread's observers; Module::operator() does so.
  static void notify(const Module& module, const Tensor& input, const Tensor& output);

 private:
  void call(const Module& module, const Tensor& input, const Tensor& output) const;
  Callback callback_;
  ForwardObserver* outer_;
};

// Runs `root` on x up to the module at `path` and returns that module's output; later modules do
// not run. Throws Error if there is no such module or the forward does not reach it.
REPRISE_API Tensor run_until(Module& root, const Tensor& x, const std::string& path);

}  // namespace reprise::layers
