// What can be said of a tensor's values, and of two tensors that should be equal.
#pragma once

#include <cstdint>

#include "apps/clr/commands/common.h"
#include "engine/core/tensor.h"

namespace reprise::clr {

struct Statistics {
  double min = 0, max = 0, mean = 0;  // of the finite values; 0 where there are none
  double zero_share = 0;              // of all values, in [0,1]
  std::int64_t count = 0, not_finite = 0;
};
// Of a floating view on the host.
Statistics statistics_of(const View& values);
inline Statistics statistics_of(const Tensor& t) {
  return statistics_of(t.view());
}
Json to_json(const Statistics& s);

// |a - b| / |b|, the root of the sums of squares; both floating and on the host. 0 where both are all zeros,
// infinite where a value of a is not finite and b's is.
double relative_error(const Tensor& a, const Tensor& b);

}  // namespace reprise::clr
