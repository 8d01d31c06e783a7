// How rows of channels are cut into chunks. The cut depends only on the shape, so sums over chunks
// have the same bits for any number of threads.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/core/shape.h"

namespace reprise::kernels::cpu {

// Returns a / b, rounded up, for a >= 0.
constexpr std::int64_t div_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

// Returns how many rows of `channels` values fit into `elements` values: at least 1.
inline std::int64_t rows_per_chunk(std::int64_t elements, std::int64_t channels) {
  return std::max<std::int64_t>(1, elements / std::max<std::int64_t>(1, channels));
}

// Returns a chunk's size, in elements, for an array of `all` elements: a sixteenth of the
// array, so that up to 16 threads have work, but at least `least` and at most `most`.
inline std::int64_t chunk_elements(std::int64_t all, std::int64_t least, std::int64_t most) {
  constexpr std::int64_t enough = 16;
  return std::clamp(all / enough, std::min(least, most), most);
}

// The rows (..., C) of a tensor, cut into `count` chunks of neighbouring rows.
struct Chunks {
  // A chunk is summed in f32; more terms would lose digits.
  static constexpr std::int64_t max_rows = 2048;

  std::int64_t channels, all_rows;  // values in a row, rows in the tensor
  std::int64_t chunk_rows;          // rows in a chunk; the last chunk may have fewer
  std::int64_t count;               // chunks

  // Cuts `numel` elements into chunks of about `elements` elements, at most max_rows rows.
  Chunks(std::int64_t numel, std::int64_t channels_, std::int64_t elements)
      : channels(channels_),
        all_rows(channels == 0 ? 0 : numel / channels),
        chunk_rows(std::min(max_rows, rows_per_chunk(elements, channels))),
        count(div_up(all_rows, chunk_rows)) {}

  // Cuts images (N,H,W,C), where a row is a pixel, at the ends of image rows, and at the ends of
  // images where a chunk holds more than one. So a fused kernel that goes through images row by row
  // sums in the same order as a plain one. A chunk has at most `most` elements, or one image row.
  // No image is cut only to give threads work: a filter computes the rows next to a cut twice.
  static Chunks of_images(const Shape& x, std::int64_t most) {
    const std::int64_t width = std::max<std::int64_t>(1, x[2]),
                       image = width * std::max<std::int64_t>(1, x[1]);
    Chunks z(x.numel(), x[3], chunk_elements(x.numel(), image * x[3], most));
    z.chunk_rows = std::max(z.chunk_rows - z.chunk_rows % width, width);
    if (z.chunk_rows >= image) z.chunk_rows -= z.chunk_rows % image;
    z.count = div_up(z.all_rows, z.chunk_rows);
    return z;
  }

  // Return a chunk's first row, and its number of rows.
  std::int64_t begin(std::int64_t chunk) const { return chunk * chunk_rows; }
  std::int64_t rows(std::int64_t chunk) const { return std::min(chunk_rows, all_rows - begin(chunk)); }
};

}  // namespace reprise::kernels::cpu
