#include "layers/observer.h"

#include "engine/base/check.h"

namespace reprise::layers {
namespace {

thread_local ForwardObserver* innermost = nullptr;

// The exception with which run_until leaves a forward, and which only run_until catches.
struct Stop {
  Tensor output;
};

}  // namespace

ForwardObserver::ForwardObserver(Callback callback) : callback_(std::move(callback)), outer_(innermost) {
  innermost = this;
}
ForwardObserver::~ForwardObserver() {
  innermost = outer_;
}

void ForwardObserver::call(const Module& module, const Tensor& input, const Tensor& output) const {
  if (outer_ != nullptr) outer_->call(module, input, output);
  callback_(module, input, output);
}
bool ForwardObserver::is_watching() {
  return innermost != nullptr;
}
void ForwardObserver::notify(const Module& module, const Tensor& input, const Tensor& output) {
  if (innermost != nullptr) innermost->call(module, input, output);
}

Tensor run_until(Module& root, const Tensor& x, const std::string& path) {
  const Module* last = root.find(path);
  REPRISE_CHECK(last != nullptr, "run_until: the network has no module named '{}'", path);
  // This observer is the innermost, so the outer ones have seen the module before it throws.
  const ForwardObserver stop([last](const Module& module, const Tensor&, const Tensor& y) {
    if (&module == last) throw Stop{y};
  });
  try {
    root(x);
  } catch (const Stop& stopped) {
    return stopped.output;
  }
  throw_error("run_until: the forward did not reach '{}'", path);
}

}  // namespace reprise::layers
