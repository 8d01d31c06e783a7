// A reprogramming filter row by row, for kernels that do more with what it makes while it is in cache.
#pragma once

#include <optional>

#include "engine/core/view.h"
#include "engine/kernels/cpu/depthwise_rows.h"
#include "engine/kernels/cpu/scratch.h"

namespace reprise::kernels::cpu {

inline Conv2dArgs same_size(View w) {
  return Conv2dArgs::same_size(w.dim(1), w.dim(2));
}

// Rows of b = depthwise(x, w), or of x itself where there is no filter. Rows are counted over all images.
template <class T>
class FilteredRows {
 public:
  FilteredRows(View x, View w) : x_(x), w_(w), row_(x.dim(2) * x.dim(3)) {
    if (w) rows_ = DepthwiseRows::forward(same_size(w), x.shape, w.shape, x.shape);
  }
  std::int64_t row() const { return row_; }  // elements in a row

  // Rows [begin, end), one after the other; made in scratch memory of this thread, unless they are x's.
  // `next`: as many that the caller touches then.
  const T* rows(std::int64_t begin, std::int64_t end, const T* next) const {
    if (!w_) return x_.data<T>() + begin * row_;
    T* b = strip(end - begin);
    for (std::int64_t i = 0; i < end - begin; ++i) into(b + i * row_, begin + i, next + i * row_);
    return b;
  }
  // Row i; `next` is the row that the caller touches then.
  void into(T* out, std::int64_t i, const T* next) const {
    rows_->gather(x_.data<T>(), 0, w_.data<float>(), i, out, next);
  }
  void correlate(const T* grad, std::int64_t i, float* taps) const {
    rows_->correlate(x_.data<T>(), 0, grad, i, taps);
  }
  // Scratch memory for so many rows.
  T* strip(std::int64_t rows) const { return scratch_of<T>(0, static_cast<std::size_t>(rows * row_)); }

 private:
  View x_, w_;
  std::int64_t row_;
  std::optional<DepthwiseRows> rows_;
};

}  // namespace reprise::kernels::cpu
