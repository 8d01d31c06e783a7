#include "layers/observer.h"

#include "engine/base/check.h"

namespace reprise::layers {
namespace {

thread_local ForwardObserver* innermost = nullptr;

// Leaves a forward in the middle; caught by run_until alone.
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
  // The innermost observer, so that those outside have seen the module when it stops.
  const ForwardObserver stop([last](const Module& module, const Tensor&, const Tensor& y) {
    if (&module == last) throw Stop{y};
  });
  try {
    root(x);
  } catch (const Stop& stopped) {
    return stopped.output;
  }
  throw_error("run_until: the forward did not come to '{}'", path);
}

}  // namespace reprise::layers
