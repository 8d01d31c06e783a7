// Local error bounds: how far rounding may move an op's outputs, to first order.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "engine/core/tensor.h"
#include "engine/kernels/args.h"

namespace reprise::ops {

// One term of an op's local error: element i of the output may err by at most
//   roundings * u * |magnitude[i]|,   u = 2^-24, for Kind::bf16 2^-8
// on any backend and in any order of the sums, if the op's inputs are exact. Terms add up. But a
// convolution runs in its direct or in Winograd's form: then only the terms of one kind count.
struct ErrorTerm {
  enum class Kind : std::uint8_t { f32, direct, winograd, bf16 } kind;  // bf16: only in networks in bf16
  double roundings;
  Tensor magnitude;  // of y's shape
};
using ErrorTerms = std::vector<ErrorTerm>;

// While an instance lives, every op of this thread that says its bound calls `callback` after it has
// recorded itself. terms() computes the terms; an exact op (a maximum, a copy) has none. The callback
// may move y, and ops that it runs tell nothing. Instances do not nest; y lies on the host.
// Meanwhile layers::conv_bn runs module by module, so that each part says its own bound.
class REPRISE_API ErrorBounds {
 public:
  using Terms = std::function<ErrorTerms()>;
  using Callback = std::function<void(std::string_view op, const Tensor& y, const Terms& terms)>;
  explicit ErrorBounds(Callback callback);
  ~ErrorBounds();
  ErrorBounds(const ErrorBounds&) = delete;
  ErrorBounds& operator=(const ErrorBounds&) = delete;

  static bool wanted();  // whether this thread has an instance
  // For authors of ops: says how the terms of y are computed, or that y is exact.
  template <class F>
  static void tell(std::string_view op, const Tensor& y, const F& terms) {
    if (wanted()) [[unlikely]]
      call(op, y, terms);
  }
  static void tell_exact(std::string_view op, const Tensor& y) {
    tell(op, y, [] { return ErrorTerms(); });
  }

 private:
  static void call(std::string_view op, const Tensor& y, const Terms& terms);
  Callback callback_;
};

// Returns the terms of `roundings` of `magnitude` in f32, and of a store of y where images are bf16.
ErrorTerms stored_error(std::int64_t roundings, const Tensor& magnitude, const Tensor& y);
// Returns |t|, in new memory, without a gradient. t is f32 or f64 on the host.
REPRISE_API Tensor absolute(const Tensor& t);
// Returns |w|. That of a sealed filter is sealed, too, and kept as long as the filter.
Tensor absolute_filter(const Tensor& w);

// Returns conv2d's terms in Winograd's form F(4x4, 3x3): none where no backend uses that form.
ErrorTerms winograd_error(const Conv2dArgs& args, const Tensor& x, const Tensor& w, const Shape& y);

}  // namespace reprise::ops
