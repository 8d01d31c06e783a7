// How rows of channels are cut into chunks. A function of the shape alone, so that sums do not depend on
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

// The rows (..., C) of a tensor in task groups, each group cut by itself, so that no chunk lies in two.
struct GroupChunks {
  // A chunk's sums are in f32, and more terms would cost digits.
  static constexpr std::int64_t max_rows = 2048;

  std::int64_t groups, channels;
  std::int64_t group_rows;  // of one group
  std::int64_t chunk_rows;
  std::int64_t chunks;  // of one group

  GroupChunks(std::int64_t numel, std::int64_t groups_, std::int64_t channels_, std::int64_t elements)
      : groups(groups_),
        channels(channels_),
        group_rows(groups * channels == 0 ? 0 : numel / (groups * channels)),
        chunk_rows(std::min(max_rows, rows_per_chunk(elements, channels))),
        chunks((group_rows + chunk_rows - 1) / chunk_rows) {}

  // Of images (N,H,W,C), where a row is a pixel: whole rows of an image, and whole images where some fit. So
  // a fused kernel that goes through images row by row sums in the same order as one that takes them flat.
  // At `most` so many elements in a chunk. An image is not cut to give threads work: a filter's rows at the
  // cuts are made twice.
  static GroupChunks of_images(const Shape& x, std::int64_t groups_, std::int64_t most) {
    const std::int64_t width = std::max<std::int64_t>(1, x[2]),
                       image = width * std::max<std::int64_t>(1, x[1]),
                       group = x.numel() / std::max<std::int64_t>(1, groups_);
    GroupChunks z(x.numel(), groups_, x[3], chunk_elements(group, image * x[3], most));
    z.chunk_rows = std::max(z.chunk_rows - z.chunk_rows % width, width);
    if (z.chunk_rows >= image) z.chunk_rows -= z.chunk_rows % image;
    z.chunks = (z.group_rows + z.chunk_rows - 1) / z.chunk_rows;
    return z;
  }

  std::int64_t total() const { return groups * chunks; }
  std::int64_t group(std::int64_t chunk) const { return chunk / chunks; }
  std::int64_t chunk_of(std::int64_t row) const {
    return row / group_rows * chunks + row % group_rows / chunk_rows;
  }
  // The first row of a chunk, counted over all groups, and how many rows it has.
  std::int64_t begin(std::int64_t chunk) const {
    return group(chunk) * group_rows + chunk % chunks * chunk_rows;
  }
  std::int64_t rows(std::int64_t chunk) const {
    return std::min(chunk_rows, group_rows - chunk % chunks * chunk_rows);
  }
};

}  // namespace reprise::kernels::cpu
