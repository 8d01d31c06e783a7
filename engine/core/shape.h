// The sizes of a tensor's dimensions, outermost first.
// Images are (N,H,W,C), convolution filters (O,R,S,I), depthwise filters (R,S,C).
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "engine/base/export.h"

namespace reprise {

class REPRISE_API Shape {
 public:
  static constexpr int max_rank = 6;

  Shape() = default;  // rank 0: a scalar, one element
  // Throws Error if a size is negative, there are more than max_rank, or their product overflows.
  Shape(std::initializer_list<std::int64_t> dims) : Shape(std::span(dims.begin(), dims.size())) {}
  explicit Shape(std::span<const std::int64_t> dims);

  int rank() const { return rank_; }
  // Returns the size of dimension i; -1 is the innermost. Throws Error unless -rank <= i < rank.
  std::int64_t operator[](int i) const { return dims_[place(i)]; }
  std::int64_t numel() const;  // the number of elements; 1 for a scalar
  std::span<const std::int64_t> dims() const { return {dims_.data(), static_cast<std::size_t>(rank_)}; }

  // Returns a copy in which dimension i (negative: from the innermost) has another size.
  Shape with(int i, std::int64_t size) const;
  // Returns a copy without the n leading dimensions.
  Shape drop_front(int n = 1) const;

  bool operator==(const Shape& other) const = default;

 private:
  std::size_t place(int i) const {
    if (i < -rank_ || i >= rank_) [[unlikely]]
      out_of_range(i);
    return static_cast<std::size_t>(i < 0 ? i + rank_ : i);
  }
  [[noreturn]] void out_of_range(int i) const;
  std::array<std::int64_t, max_rank> dims_{};
  int rank_ = 0;
};

REPRISE_API std::string to_string(const Shape& shape);  // "[32, 16, 8, 8]"

}  // namespace reprise
