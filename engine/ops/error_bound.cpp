#include "engine/ops/error_bound.h"

#include <cmath>
#include <map>
#include <memory>
#include <utility>

#include "engine/autograd/autograd.h"
#include "engine/base/check.h"
#include "engine/kernels/cpu/conv/winograd.h"

namespace reprise::ops {
namespace {

thread_local ErrorBounds* active = nullptr;

}  // namespace

ErrorBounds::ErrorBounds(Callback callback) : callback_(std::move(callback)) {
  REPRISE_INVARIANT(active == nullptr, "error bounds are told to one instance at a time");
  active = this;
}
ErrorBounds::~ErrorBounds() {
  active = nullptr;
}
bool ErrorBounds::wanted() {
  return active != nullptr;
}
void ErrorBounds::call(std::string_view op, const Tensor& y, const Terms& terms) {
  const NoGrad no_grad;
  const struct Pause {
    ErrorBounds* const told = std::exchange(active, nullptr);
    ~Pause() { active = told; }
  } pause;
  pause.told->callback_(op, y, terms);
}

Tensor absolute(const Tensor& t) {
  Tensor y = t.clone();
  const auto take = [](auto* values, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) values[i] = std::abs(values[i]);
  };
  t.dtype() == DType::f64 ? take(y.mutable_data<double>(), y.numel())
                          : take(y.mutable_data<float>(), y.numel());
  return y;
}

Tensor absolute_filter(const Tensor& w) {
  thread_local std::map<std::weak_ptr<Storage>, Tensor, std::owner_less<>> kept;
  if (!w.is_sealed()) return absolute(w);
  std::erase_if(kept, [](const auto& of) { return of.first.expired(); });
  const auto [at, made] = kept.try_emplace(w.storage());
  if (made) at->second = absolute(w).sealed_copy();
  return at->second;
}

ErrorTerms stored_error(std::int64_t roundings, const Tensor& magnitude, const Tensor& y) {
  return {{ErrorTerm::Kind::f32, static_cast<double>(roundings), magnitude}, {ErrorTerm::Kind::bf16, 1, y}};
}

// |error| <= u |A^T| (|U| ((C + 1 + 8) |V| + 8 |B^T| |d| |B|)) |A|, summed over the channels: U is rounded
// once; a chain of M has C products; without FMA each axis takes at most 4 roundings from d to V, and 4
// from M to y (5 with stride 2).
ErrorTerms winograd_error(const Conv2dArgs& args, const Tensor& x, const Tensor& w, const Shape& shape) {
  if (!kernels::cpu::winograd_applies<float>(args, w.view(), MutView{nullptr, shape, x.dtype()})) return {};
  const Tensor image = x.to(cpu_device).to(DType::f32),
               filter = w.dtype() == DType::f32 ? w : w.to(cpu_device).to(DType::f32).sealed_copy();
  const auto sizes = [&](bool absolutes, const Tensor& of) {
    Tensor y = empty(shape);
    kernels::cpu::winograd_sizes(args, absolutes, of.view(), filter.view(), y.mut_view());
    return y.to(x.dtype()).to(x.device());
  };
  return {{ErrorTerm::Kind::winograd, static_cast<double>(w.dim(3)) + (args.stride[0] == 2 ? 11 : 9),
           sizes(false, image)},
          {ErrorTerm::Kind::winograd, 8, sizes(true, absolute(image))}};
}

}  // namespace reprise::ops
