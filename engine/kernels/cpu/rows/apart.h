// Pixels copied to scratch memory, where they lie a cache line further apart. Those that lie a multiple of
// 512 bytes apart meet in few sets of the first cache (addresses 4 KiB apart share one), where the window of
// a 3x3 filter alone needs up to 30 lines.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/core/view.h"

namespace reprise::kernels::cpu {

struct Apart {
  std::int64_t channels;
  std::int64_t pixel;  // elements from one pixel to the next: `channels` where nothing is to be copied

  // Where pixels lie a multiple of so many bytes apart.
  template <class T>
  static Apart where(std::int64_t bytes, std::int64_t channels) {
    constexpr std::int64_t size = sizeof(T), line = 64 / size;
    return {channels, channels > 0 && channels * size % bytes == 0 ? channels + line : channels};
  }

  bool is_needed() const { return pixel != channels; }
  Shape shape(const Shape& images) const { return images.with(images.rank() - 1, pixel); }

  template <class T>
  void copy(const T* from, T* to, std::int64_t pixels) const {
    for (std::int64_t j = 0; j < pixels; ++j) std::copy_n(from + j * channels, channels, to + j * pixel);
  }
  // A filter (R,S,C).
  std::vector<float> copy_of(View w) const {
    const std::int64_t taps = w.dim(0) * w.dim(1);
    std::vector<float> apart(static_cast<std::size_t>(taps * pixel));
    copy(w.data<float>(), apart.data(), taps);
    return apart;
  }
};

// Rows of images, counted over all of them, as a filter reads them that is asked for its own in order: those
// of x itself, or where pixels are to lie apart a copy that goes on row by row.
template <class T>
class ApartRows {
 public:
  // For the filter's rows [begin, end), whose taps reach so many rows up and down within an image.
  ApartRows(const Apart& apart, const T* x, std::int64_t height, std::int64_t width, std::int64_t reach,
            std::int64_t begin, std::int64_t end)
      : apart_(apart), x_(x), width_(width), reach_(reach) {
    if (!apart.is_needed() || begin == end) return;
    first_ = copied_ = std::max(begin - reach, begin / height * height);
    end_ = std::min(end + reach, ((end - 1) / height + 1) * height);
  }

  // Elements that the copies need, in memory that is then given.
  std::size_t room() const { return static_cast<std::size_t>((end_ - first_) * width_ * apart_.pixel); }
  void copy_to(T* strip) { strip_ = strip; }

  // The first row that rows_for() gives.
  std::int64_t first() const { return first_; }
  // What the filter's row i reads is there.
  const T* rows_for(std::int64_t i) {
    for (; copied_ < std::min(end_, i + reach_ + 1); ++copied_)
      apart_.copy(x_ + copied_ * width_ * apart_.channels,
                  strip_ + (copied_ - first_) * width_ * apart_.pixel, width_);
    return end_ > first_ ? strip_ : x_;
  }

 private:
  Apart apart_;
  const T* x_;
  std::int64_t width_, reach_;
  T* strip_ = nullptr;
  std::int64_t first_ = 0, copied_ = 0, end_ = 0;  // of the copies
};

}  // namespace reprise::kernels::cpu
