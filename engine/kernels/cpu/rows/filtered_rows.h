// A reprogramming filter, row by row, for kernels that use its output while it is in cache.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "engine/core/view.h"
#include "engine/kernels/cpu/base/scratch.h"
#include "engine/kernels/cpu/rows/depthwise_rows.h"
#include "engine/kernels/cpu/rows/pixel_pitch.h"

namespace reprise::kernels::cpu {

inline Conv2dArgs same_size(View w) {
  return Conv2dArgs::same_size(w.dim(0), w.dim(1));
}

// Rows of b = depthwise(x, w), or of x itself if w is absent. Rows are counted over all images.
template <class T>
class FilteredRows {
 public:
  FilteredRows(View x, View w)
      : x_(x),
        w_(w),
        row_(x.dim(2) * x.dim(3)),
        filter_(w.data<float>()),
        pitch_(PixelPitch::padded_at<T>(2048, x.dim(3))) {
    if (!w) return;
    rows_ = DepthwiseRows::forward(same_size(w), pitch_.shape(x.shape), pitch_.shape(w.shape), x.shape)
                .within(x.dim(3), x.dim(3));
    if (!pitch_.is_padded()) return;
    padded_filter_ = pitch_.copy_of(w);
    filter_ = padded_filter_.data();
  }
  FilteredRows(const FilteredRows&) = delete;
  FilteredRows& operator=(const FilteredRows&) = delete;

  std::int64_t row() const { return row_; }  // elements in a row

  // Rows [begin, end), for one thread that asks for them in order.
  class Part {
   public:
    Part(const FilteredRows& all, std::int64_t begin, std::int64_t end)
        : all_(all),
          x_(all.pitch_, all.x_.template data<T>(), all.x_.dim(1), all.x_.dim(2),
             all.w_ ? all.w_.dim(0) / 2 : 0, begin, all.w_ ? end : begin) {
      if (x_.room() != 0) x_.copy_to(scratch_of<T>(Scratch::padded, x_.room()));
    }

    // Returns rows [begin, end): those of x, or computed in this thread's Scratch::rows.
    // `next` is memory of the same size that the caller uses afterwards; it is prefetched.
    const T* rows(std::int64_t begin, std::int64_t end, const T* next) {
      if (!all_.w_) return all_.x_.template data<T>() + begin * all_.row_;
      T* b = all_.strip(end - begin);
      for (std::int64_t i = begin; i < end; ++i)
        into(b + (i - begin) * all_.row_, i, next + (i - begin) * all_.row_);
      return b;
    }
    // Computes row i into `out`; `next` as above, one row. Needs a filter.
    void into(T* out, std::int64_t i, const T* next) {
      const T* x = x_.rows_for(i);
      all_.rows_->gather(x, x_.first(), all_.filter_, i, out, next);
    }

   private:
    const FilteredRows& all_;
    PitchedRows<T> x_;
  };

  // Returns Scratch::rows with room for `rows` rows.
  T* strip(std::int64_t rows) const {
    return scratch_of<T>(Scratch::rows, static_cast<std::size_t>(rows * row_));
  }

 private:
  View x_, w_;
  std::int64_t row_;
  const float* filter_;
  PixelPitch pitch_;
  std::vector<float> padded_filter_;
  std::optional<DepthwiseRows> rows_;
};

}  // namespace reprise::kernels::cpu
