// How rows of channels are cut into chunks. Only the shape decides, so that sums do not depend on
// threads.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/core/shape.h"

namespace reprise::kernels::cpu {

// How many parts of b it takes to hold a.
constexpr std::int64_t div_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

// Rows of `channels` values that make about `elements` together; at least one.
inline std::int64_t rows_per_chunk(std::int64_t elements, std::int64_t channels) {
  return std::max<std::int64_t>(1, elements / std::max<std::int64_t>(1, channels));
}

// Elements in each chunk of so many: `most`, or fewer where that would leave threads without work, but not
// under `least`.
inline std::int64_t chunk_elements(std::int64_t all, std::int64_t least, std::int64_t most) {
  constexpr std::int64_t enough = 16;
  return std::clamp(all / enough, std::min(least, most), most);
}

// The rows (..., C) of a tensor, cut into `count` chunks.
struct Chunks {
  // A chunk's sums are in f32, and more terms would cost digits.
  static constexpr std::int64_t max_rows = 2048;

  std::int64_t channels, all_rows;
  std::int64_t chunk_rows;  // of each chunk but the last, which may have fewer
  std::int64_t count;

  // Chunks of about so many elements.
  Chunks(std::int64_t numel, std::int64_t channels_, std::int64_t elements)
      : channels(channels_),
        all_rows(channels == 0 ? 0 : numel / channels),
        chunk_rows(std::min(max_rows, rows_per_chunk(elements, channels))),
        count(div_up(all_rows, chunk_rows)) {}

  // Cuts images (N,H,W,C), where a row is a pixel, into whole rows of an image, and into whole images where
  // some fit. A fused kernel that goes through images row by row then sums in the same order as one that
  // takes them flat. A chunk has at most `most` elements. No image is cut to give threads work, because
  // a filter computes its rows at a cut twice.
  static Chunks of_images(const Shape& x, std::int64_t most) {
    const std::int64_t width = std::max<std::int64_t>(1, x[2]),
                       image = width * std::max<std::int64_t>(1, x[1]);
    Chunks z(x.numel(), x[3], chunk_elements(x.numel(), image * x[3], most));
    z.chunk_rows = std::max(z.chunk_rows - z.chunk_rows % width, width);
    if (z.chunk_rows >= image) z.chunk_rows -= z.chunk_rows % image;
    z.count = div_up(z.all_rows, z.chunk_rows);
    return z;
  }

  // The first row of a chunk, and how many rows it has.
  std::int64_t begin(std::int64_t chunk) const { return chunk * chunk_rows; }
  std::int64_t rows(std::int64_t chunk) const { return std::min(chunk_rows, all_rows - begin(chunk)); }
};

}  // namespace reprise::kernels::cpu
