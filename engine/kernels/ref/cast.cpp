// y = x, rounded to y's dtype
#include "engine/base/check.h"
#include "engine/core/tensor.h"
#include "engine/kernels/ref/loops.h"

namespace reprise::kernels::ref {

template <class T>
void cast(View x, MutView y) {
  const auto convert = [&](auto from) {
    each_output(y.numel(), 1, [&](std::int64_t i) { y.data<T>()[i] = static_cast<T>(from(i)); });
  };
  if (x.dtype == DType::f64)
    convert([p = x.data<double>()](std::int64_t i) { return p[i]; });
  else if (x.dtype == DType::f32)
    convert([p = x.data<float>()](std::int64_t i) { return p[i]; });
  else
    convert([p = x.data<BFloat16>()](std::int64_t i) { return to_float(p[i]); });
}

REPRISE_REF_KERNEL(cast);

}  // namespace reprise::kernels::ref
