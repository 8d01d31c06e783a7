// Watching a forward from outside: every module's output as it is made.
#pragma once

#include <functional>
#include <string>

#include "layers/module.h"

namespace reprise::layers {

// While it lives, the callback gets every module that has run in this thread, children before their parents.
// Observers nest: the outermost is called first.
class REPRISE_API ForwardObserver {
 public:
  using Callback = std::function<void(const Module& module, const Tensor& input, const Tensor& output)>;
  explicit ForwardObserver(Callback callback);
  ~ForwardObserver();
  ForwardObserver(const ForwardObserver&) = delete;
  ForwardObserver& operator=(const ForwardObserver&) = delete;

  static bool is_watching();  // in this thread
  static void notify(const Module& module, const Tensor& input, const Tensor& output);

 private:
  void call(const Module& module, const Tensor& input, const Tensor& output) const;
  Callback callback_;
  ForwardObserver* outer_;
};

// Runs `root` on x and stops behind the module at `path`, whose output it returns; what comes later does not
// run. Error where no such module is, or it did not run.
REPRISE_API Tensor run_until(Module& root, const Tensor& x, const std::string& path);

}  // namespace reprise::layers
