// Statistics of a tensor's values, and the places where two tensors that should be equal differ.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "apps/clr/learn/json.h"
#include "engine/core/tensor.h"

namespace reprise::clr {

struct Statistics {
  double min = 0, max = 0, mean = 0;  // of the finite values; 0 if there are none
  double zero_share = 0;              // of all values, in [0,1]
  std::int64_t count = 0, not_finite = 0;
};
// Computes the statistics of a floating-point view on the host.
Statistics statistics_of(const View& values);
inline Statistics statistics_of(const Tensor& t) {
  return statistics_of(t.view());
}
Json to_json(const Statistics& s);

// Returns |a - b| / |b|, where |x| is the root of the sum of squares; 0 if a equals b. Both tensors
// are floating-point, of one shape and on the host. Elements that are the same infinity or both NaN
// are left out. Any other pair with a value that is not finite makes the result infinite.
double relative_error(const Tensor& a, const Tensor& b);

// Returns element `flat` as text that reads back exactly.
std::string element_text(const View& view, std::int64_t flat);

struct Difference {
  std::int64_t element = 0;  // flat index of the first element that differs
  std::int64_t count = 0;    // number of elements that differ
  std::string before, now;   // the two values of the first
  // "element [2, 0, 14] was 0.25 and is 0.125; 3 of 144 elements differ"
  std::string text(const Shape& shape) const;
};
// Compares two views of one shape and dtype on the host. Returns nothing if all bits are equal.
std::optional<Difference> first_difference(const View& before, const View& now);

}  // namespace reprise::clr
