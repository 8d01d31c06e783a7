// The gradient of batch norm's input b, and through a reprogramming filter those of the filter's input
// and of the filter, some image rows at a time.
#pragma once

#include <algorithm>
#include <vector>

#include "engine/kernels/block.h"
#include "engine/kernels/cpu/base/scratch.h"
#include "engine/kernels/cpu/base/sums.h"
#include "engine/kernels/cpu/leaf/conv_block.h"
#include "engine/kernels/cpu/rows/apart.h"
#include "engine/kernels/cpu/rows/depthwise_rows.h"
#include "engine/kernels/cpu/rows/filtered_rows.h"

namespace reprise::kernels::cpu {

// Where the bits of a pixel begin that say where a ReLU was open; null where there are none.
inline const std::uint8_t* bits_at(View open, std::int64_t pixel) {
  return open ? open.data<std::uint8_t>() + pixel * open.dim(3) : nullptr;
}

// Computes the gradient db of b from dy, pixel by pixel.
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

  // db of `count` pixels from `pixel` on, pixels counted over all images; b may be db, and is not read where
  // the statistics are constants. `past`: written past the caches.
  void operator()(const T* b, std::int64_t pixel, std::int64_t count, T* db, bool past) const {
    if (mean_ == nullptr)
      leaf().masked(dy(pixel), bits(pixel), scale_.data(), db, past, count, channels_);
    else
      leaf().grad_input(b, dy(pixel), bits(pixel), mean_, of_batch_.grad_mean.data(), of_batch_.slope.data(),
                        scale_.data(), db, past, count, channels_);
  }
  // The same, and the residual's gradient, which `past` is said of.
  void with_residual(const T* b, std::int64_t pixel, std::int64_t count, T* db, T* dresidual,
                     bool past) const {
    if (mean_ == nullptr) {
      residual(pixel, count, dresidual, past);
      return (*this)(b, pixel, count, db, false);
    }
    leaf().grad_input_and_masked(b, dy(pixel), bits(pixel), mean_, of_batch_.grad_mean.data(),
                                 of_batch_.slope.data(), scale_.data(), db, dresidual, past, count,
                                 channels_);
  }
  // The residual's gradient.
  void residual(std::int64_t pixel, std::int64_t count, T* dresidual, bool past) const {
    leaf().masked(dy(pixel), bits(pixel), nullptr, dresidual, past, count, channels_);
  }

 private:
  static const ConvBlockLeaf<T>& leaf() { return conv_block_leaf<T>(); }
  const std::uint8_t* bits(std::int64_t pixel) const { return bits_at(open_, pixel); }

  View dy_, open_;
  std::int64_t channels_;
  std::vector<float> scale_;
  const float* mean_;  // null where the statistics are constants
  InputGradient of_batch_;
};

// Goes through the filter: db is made in scratch memory, with the rows above and below that the filter
// reaches; dx and the chunk's part of dfilter come from it. There, and of x, pixels have a padded pitch.
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
        apart_(Apart::where<T>(512, channels_)),
        forward_(DepthwiseRows::forward(same_size(in.filter), apart_.shape(in.dy.shape),
                                        apart_.shape(in.filter.shape), apart_.shape(in.dy.shape))
                     .within(channels_, apart_.pixel)),
        back_(DepthwiseRows::backward(same_size(in.filter), apart_.shape(in.dy.shape),
                                      apart_.shape(in.filter.shape), apart_.shape(in.dy.shape))
                  .within(channels_, channels_)),
        filter_(in.filter.data<float>()) {
    if (!apart_.is_needed()) return;
    filter_apart_ = apart_.copy_of(in.filter);
    filter_ = filter_apart_.data();
  }

  // Computes image rows [first, last) of dx, rows counted over all images, and adds to dfilter (taps, C) what
  // these give, where it is wanted.
  void rows(std::int64_t first, std::int64_t last, float* dfilter) const {
    const std::int64_t strip_row = width_ * apart_.pixel, reach = dx_ ? reach_ : 0,
                       top = first / height_ * height_, bottom = ((last - 1) / height_ + 1) * height_,
                       low = std::max(first - reach, top), high = std::min(last + reach, bottom),
                       db_size = (high - low) * strip_row;
    const bool copies = apart_.is_needed();
    ApartRows<T> source(apart_, x_.data<T>(), height_, width_, reach_, low, reads_x_ ? high : low);
    T* db = scratch_of<T>(Scratch::rows, static_cast<std::size_t>(db_size) + source.room());
    source.copy_to(db + db_size);
    float* sums = dfilter;
    if (dfilter != nullptr) {
      if (copies) sums = scratch(Scratch::operand, static_cast<std::size_t>(taps_ * apart_.pixel));
      std::fill_n(sums, taps_ * apart_.pixel, 0.0F);
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
      std::copy_n(sums + t * apart_.pixel, channels_, dfilter + t * channels_);
  }

 private:
  // db of image row i in the place of b, if that is made here.
  void normalise_back(std::int64_t i, T* out) const {
    const std::int64_t together = apart_.is_needed() ? 1 : width_;
    for (std::int64_t j = 0; j < width_; j += together) {
      T* db = out + j * apart_.pixel;
      norm_(b_ ? b_.data<T>() + i * row_ + j * channels_ : db, i * width_ + j, together, db, false);
    }
  }

  std::int64_t height_, width_, channels_, row_, reach_, taps_;
  View x_, b_;
  const NormGradient<T>& norm_;
  MutView dx_;
  bool makes_b_, reads_x_;
  Apart apart_;
  DepthwiseRows forward_, back_;
  const float* filter_;
  std::vector<float> filter_apart_;
};

}  // namespace reprise::kernels::cpu
