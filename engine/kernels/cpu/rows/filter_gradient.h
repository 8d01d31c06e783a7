// The gradient db of batch norm's input and, through a reprogramming filter, dx of the filter's
// input and dfilter of the filter, some image rows at a time. kernels/block.h names the operands.
#pragma once

#include <algorithm>
#include <vector>

#include "engine/kernels/block.h"
#include "engine/kernels/cpu/base/scratch.h"
#include "engine/kernels/cpu/base/sums.h"
#include "engine/kernels/cpu/leaf/conv_block.h"
#include "engine/kernels/cpu/rows/depthwise_rows.h"
#include "engine/kernels/cpu/rows/filtered_rows.h"
#include "engine/kernels/cpu/rows/pixel_pitch.h"

namespace reprise::kernels::cpu {

// Returns the address of a pixel's bits in `open` (kernels/block.h); null if there was no ReLU.
inline const std::uint8_t* bits_at(View open, std::int64_t pixel) {
  return open ? open.data<std::uint8_t>() + pixel * open.dim(3) : nullptr;
}

// Computes db from dy, pixel by pixel; pixels are counted over all images.
template <class T>
class NormGradient {
 public:
  NormGradient(double eps, const BlockGradIn& in)
      : dy_(in.dy),
        open_(in.open),
        channels_(in.dy.dim(3)),
        scale_(normal_scale(in.gamma, in.var, eps)),
        mean_(in.dgamma ? in.mean.data<float>() : nullptr) {
    if (in.dgamma) of_batch_ = input_gradient(in.dgamma, in.dbeta, in.var, dy_.numel() / channels_, eps);
  }

  const T* dy(std::int64_t pixel) const { return dy_.data<T>() + pixel * channels_; }

  // Computes db of `count` pixels from `pixel` on. b may be db, and is not read if the
  // statistics are constants.
  void operator()(const T* b, std::int64_t pixel, std::int64_t count, T* db, bool non_temporal) const {
    if (mean_ == nullptr)
      leaf().masked(dy(pixel), bits(pixel), scale_.data(), db, non_temporal, count, channels_);
    else
      leaf().grad_input(b, dy(pixel), bits(pixel), mean_, of_batch_.grad_mean.data(), of_batch_.slope.data(),
                        scale_.data(), db, non_temporal, count, channels_);
  }
  // Computes db and the residual's gradient. `non_temporal` concerns only the latter.
  void with_residual(const T* b, std::int64_t pixel, std::int64_t count, T* db, T* dresidual,
                     bool non_temporal) const {
    if (mean_ == nullptr) {
      residual(pixel, count, dresidual, non_temporal);
      return (*this)(b, pixel, count, db, false);
    }
    leaf().grad_input_and_masked(b, dy(pixel), bits(pixel), mean_, of_batch_.grad_mean.data(),
                                 of_batch_.slope.data(), scale_.data(), db, dresidual, non_temporal, count,
                                 channels_);
  }
  // Computes only the residual's gradient.
  void residual(std::int64_t pixel, std::int64_t count, T* dresidual, bool non_temporal) const {
    leaf().masked(dy(pixel), bits(pixel), nullptr, dresidual, non_temporal, count, channels_);
  }

 private:
  static const ConvBlockLeaf<T>& leaf() { return conv_block_leaf<T>(); }
  const std::uint8_t* bits(std::int64_t pixel) const { return bits_at(open_, pixel); }

  View dy_, open_;
  std::int64_t channels_;
  std::vector<float> scale_;
  const float* mean_;  // null if the statistics are constants
  InputGradient of_batch_;
};

// Computes dx and dfilter. db lies in scratch memory, with the rows above and below that the filter
// reaches. db, and copies of x, may have a padded pitch.
template <class T>
class FilterGradient {
 public:
  FilterGradient(const BlockGradIn& in, const NormGradient<T>& norm, MutView dx, bool for_filter)
      : height_(in.dy.dim(1)),
        width_(in.dy.dim(2)),
        channels_(in.dy.dim(3)),
        row_(width_ * channels_),
        reach_(in.filter.dim(0) / 2),
        taps_(in.filter.dim(0) * in.filter.dim(1)),
        x_(in.x),
        b_(in.b),
        norm_(norm),
        dx_(dx),
        makes_b_(in.dgamma && !in.b),
        reads_x_(makes_b_ || for_filter),
        pitch_(PixelPitch::padded_at<T>(512, channels_)),
        forward_(DepthwiseRows::forward(same_size(in.filter), pitch_.shape(in.dy.shape),
                                        pitch_.shape(in.filter.shape), pitch_.shape(in.dy.shape))
                     .within(channels_, pitch_.pixel)),
        back_(DepthwiseRows::backward(same_size(in.filter), pitch_.shape(in.dy.shape),
                                      pitch_.shape(in.filter.shape), pitch_.shape(in.dy.shape))
                  .within(channels_, channels_)),
        filter_(in.filter.data<float>()) {
    if (!pitch_.is_padded()) return;
    padded_filter_ = pitch_.copy_of(in.filter);
    filter_ = padded_filter_.data();
  }

  // Computes image rows [first, last) of dx, counted over all images, and the filter's
  // gradient (taps, C) from these rows of db. Either may be absent.
  void rows(std::int64_t first, std::int64_t last, float* dfilter) const {
    const std::int64_t strip_row = width_ * pitch_.pixel, reach = dx_ ? reach_ : 0,
                       top = first / height_ * height_, bottom = ((last - 1) / height_ + 1) * height_,
                       low = std::max(first - reach, top), high = std::min(last + reach, bottom),
                       db_size = (high - low) * strip_row;
    const bool copies = pitch_.is_padded();
    PitchedRows<T> source(pitch_, x_.data<T>(), height_, width_, reach_, low, reads_x_ ? high : low);
    T* db = scratch_of<T>(Scratch::rows, static_cast<std::size_t>(db_size) + source.room());
    source.copy_to(db + db_size);
    float* sums = dfilter;
    if (dfilter != nullptr) {
      if (copies) sums = scratch(Scratch::operand, static_cast<std::size_t>(taps_ * pitch_.pixel));
      std::fill_n(sums, taps_ * pitch_.pixel, 0.0F);
    }

    const T* x = nullptr;
    std::int64_t made = low;  // rows of db
    for (std::int64_t i = first; i < last; ++i) {
      for (; made < std::min(high, i + reach + 1); ++made) {
        T* out = db + (made - low) * strip_row;
        x = source.rows_for(made);
        if (makes_b_)
          forward_.gather(x, source.first(), filter_, made, out, copies ? out : norm_.dy(made * width_));
        normalise_back(made, out);
      }
      if (dx_) {
        T* out = dx_.data<T>();
        back_.gather(db, low, filter_, i, out + i * row_, out + std::min(i + 1, last - 1) * row_);
      }
      if (dfilter != nullptr) forward_.correlate(x, source.first(), db + (i - low) * strip_row, i, sums);
    }
    for (std::int64_t t = 0; sums != dfilter && t < taps_; ++t)
      std::copy_n(sums + t * pitch_.pixel, channels_, dfilter + t * channels_);
  }

 private:
  // Computes db of image row i into `out`, which holds b if makes_b_.
  void normalise_back(std::int64_t i, T* out) const {
    const std::int64_t together = pitch_.is_padded() ? 1 : width_;
    for (std::int64_t j = 0; j < width_; j += together) {
      T* db = out + j * pitch_.pixel;
      norm_(b_ ? b_.data<T>() + i * row_ + j * channels_ : db, i * width_ + j, together, db, false);
    }
  }

  std::int64_t height_, width_, channels_, row_, reach_, taps_;
  View x_, b_;
  const NormGradient<T>& norm_;
  MutView dx_;
  bool makes_b_, reads_x_;  // makes_b_: b was not kept, so it is computed again from x
  PixelPitch pitch_;
  DepthwiseRows forward_, back_;
  const float* filter_;
  std::vector<float> padded_filter_;
};

}  // namespace reprise::kernels::cpu
