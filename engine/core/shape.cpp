#include "engine/core/shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/base/check.h"

namespace reprise {

Shape::Shape(std::span<const std::int64_t> dims) : rank_(static_cast<int>(dims.size())) {
  REPRISE_CHECK(rank_ <= max_rank, "shape: rank {} is more than the {} that a tensor can have", rank_,
                max_rank);
  std::int64_t total = 1;
  for (int i = 0; i < rank_; ++i) {
    const std::int64_t d = dims[static_cast<std::size_t>(i)];
    REPRISE_CHECK(d >= 0, "shape: dimension {} is negative: {}", i, d);
    REPRISE_CHECK(!__builtin_mul_overflow(total, d, &total),
                  "shape: the number of elements overflows 64 bits");
    dims_[static_cast<std::size_t>(i)] = d;
  }
}

std::int64_t Shape::numel() const {
  std::int64_t total = 1;
  for (std::int64_t d : dims()) total *= d;
  return total;
}

Shape Shape::with(int i, std::int64_t size) const {
  Shape out = *this;
  out.dims_[place(i)] = size;
  return Shape(out.dims());
}

Shape Shape::drop_front(int n) const {
  if (n < 0 || n > rank_) out_of_range(n);
  return Shape(dims().subspan(static_cast<std::size_t>(n)));
}

void Shape::out_of_range(int i) const {
  throw_error("shape: {} has {} dimensions, so there is no dimension {}; -1 is the innermost",
              to_string(*this), rank_, i);
}

std::string to_string(const Shape& shape) {
  return fmt::format("[{}]", fmt::join(shape.dims(), ", "));
}

}  // namespace reprise
