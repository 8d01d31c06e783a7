// The sizes of a tensor, outermost first. Images are (N,H,W,C), conv filters (O,R,S,I), depthwise filters
// (R,S,C).
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

  Shape() = default;  // rank 0: a scalar
  Shape(std::initializer_list<std::int64_t> dims) : Shape(std::span(dims.begin(), dims.size())) {}
  explicit Shape(std::span<const std::int64_t> dims);

  int rank() const { return rank_; }
  // i may be negative: -1 is the innermost dimension.
  std::int64_t operator[](int i) const { return dims_[static_cast<std::size_t>(i < 0 ? i + rank_ : i)]; }
  std::int64_t numel() const;  // 1 for a scalar
  std::span<const std::int64_t> dims() const { return {dims_.data(), static_cast<std::size_t>(rank_)}; }

  // This shape with one dimension changed.
  Shape with(int i, std::int64_t size) const;
  // Without the leading n dimensions.
  Shape drop_front(int n = 1) const;

  bool operator==(const Shape& other) const = default;

 private:
  std::array<std::int64_t, max_rank> dims_{};
  int rank_ = 0;
};

REPRISE_API std::string to_string(const Shape& shape);  // "[32, 16, 8, 8]"

}  // namespace reprise
