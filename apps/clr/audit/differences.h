// Where two tensors differ, to the bit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/core/tensor.h"

namespace reprise::clr {

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
