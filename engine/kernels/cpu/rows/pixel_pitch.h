// Copies of pixels with a padded pitch: one cache line more from pixel to pixel. Pixels a
// multiple of 512 bytes apart fall into few sets of the first-level cache, in which addresses
// 4 KiB apart share a set. The windows of a 3x3 filter read up to 30 such lines at once.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/core/view.h"

namespace reprise::kernels::cpu {

struct PixelPitch {
  std::int64_t channels;
  std::int64_t pixel;  // elements from one pixel to the next; `channels` if no copy is needed

  // Returns a padded pitch if pixels are a multiple of `bytes` bytes apart, else the plain one.
  template <class T>
  static PixelPitch padded_at(std::int64_t bytes, std::int64_t channels) {
    constexpr std::int64_t size = sizeof(T), line = 64 / size;
    return {channels, channels > 0 && channels * size % bytes == 0 ? channels + line : channels};
  }

  bool is_padded() const { return pixel != channels; }
  // Returns the shape of a padded copy.
  Shape shape(const Shape& images) const { return images.with(images.rank() - 1, pixel); }

  // Copies `pixels` pixels to the pitch.
  template <class T>
  void copy(const T* from, T* to, std::int64_t pixels) const {
    for (std::int64_t j = 0; j < pixels; ++j) std::copy_n(from + j * channels, channels, to + j * pixel);
  }
  // Returns a copy of the filter w (R,S,C) with the pitch.
  std::vector<float> copy_of(View w) const {
    const std::int64_t taps = w.dim(0) * w.dim(1);
    std::vector<float> padded(static_cast<std::size_t>(taps * pixel));
    copy(w.data<float>(), padded.data(), taps);
    return padded;
  }
};

// The image rows that a filter reads while its output rows are computed in order: rows of x itself
// or, with a padded pitch, copies that are made row by row. Rows are counted over all images.
template <class T>
class PitchedRows {
 public:
  // For the output rows [begin, end) of a filter whose taps reach `reach` rows up and down.
  PitchedRows(const PixelPitch& pitch, const T* x, std::int64_t height, std::int64_t width,
              std::int64_t reach, std::int64_t begin, std::int64_t end)
      : pitch_(pitch), x_(x), width_(width), reach_(reach) {
    if (!pitch.is_padded() || begin == end) return;
    first_ = copied_ = std::max(begin - reach, begin / height * height);
    end_ = std::min(end + reach, ((end - 1) / height + 1) * height);
  }

  // Returns how many elements the copies need. copy_to() sets their memory, which the caller owns.
  std::size_t room() const { return static_cast<std::size_t>((end_ - first_) * width_ * pitch_.pixel); }
  void copy_to(T* strip) { strip_ = strip; }

  // Returns the row with which the memory of rows_for() begins.
  std::int64_t first() const { return first_; }
  // Returns memory that holds the rows that output row i reads.
  const T* rows_for(std::int64_t i) {
    for (; copied_ < std::min(end_, i + reach_ + 1); ++copied_)
      pitch_.copy(x_ + copied_ * width_ * pitch_.channels,
                  strip_ + (copied_ - first_) * width_ * pitch_.pixel, width_);
    return end_ > first_ ? strip_ : x_;
  }

 private:
  PixelPitch pitch_;
  const T* x_;
  std::int64_t width_, reach_;
  T* strip_ = nullptr;
  std::int64_t first_ = 0, copied_ = 0, end_ = 0;  // copied: [first_, copied_)
};

}  // namespace reprise::kernels::cpu
