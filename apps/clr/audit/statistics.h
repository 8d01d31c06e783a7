// What can be said of a tensor's values, and where two tensors that should be equal differ.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "apps/clr/learn/json.h"
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

// The element as text that reads back exactly.
std::string element_text(const View& view, std::int64_t flat);

struct Difference {
  std::int64_t element = 0;  // the first that differs
  std::int64_t count = 0;    // how many do
  std::string before, now;   // the two values there
  // "element [2, 0, 14] was 0.25 and is 0.125; 3 of 144 elements differ"
  std::string text(const Shape& shape) const;
};
// Of two views of one shape and dtype, on the host; nothing where all bits are equal.
std::optional<Difference> first_difference(const View& before, const View& now);

}  // namespace reprise::clr
