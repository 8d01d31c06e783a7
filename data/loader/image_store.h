// Keeps the images of one split, decoded once and resized.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/image/image.h"
#include "data/sets/task.h"
#include "engine/base/export.h"
#include "engine/core/tensor.h"

namespace reprise::data {

class PixelRows;

// Called with the number of images done and the number of all, by one thread at a time. An
// exception from it ends the loading.
using Progress = std::function<void(std::int64_t done, std::int64_t total)>;

class REPRISE_API ImageStore {
 public:
  // For RGB images of size x size pixels. Cache files go to REPRISE_CACHE_DIR where it is set, else
  // to `cache_dir`, which is made when needed. If both are empty, to a new folder (mode 0700) in the
  // system's temporary folder; their space is free again when the store is gone.
  ImageStore(std::vector<Sample> samples, int size, std::string cache_dir, Grey16 grey16 = Grey16::scale);

  // Takes over images of the same paths from a store of the same size and Grey16. Called before
  // load().
  void adopt(const ImageStore& other);

  // Decodes the missing images on all threads: into memory where all stores together stay within
  // REPRISE_CACHE_MB, else into a cache file. Where a complete cache file of the same contents,
  // size and decoders exists, nothing is decoded. Returns the files that cannot be read, in the
  // order of the samples. Throws Error where the cache file cannot be written.
  std::vector<Unreadable> load(const Progress& progress = {});

  std::int64_t count() const { return static_cast<std::int64_t>(samples_.size()); }
  std::int64_t missing() const;  // images that load() would load
  int size() const { return size_; }
  const std::vector<Sample>& samples() const { return samples_; }
  std::int64_t decoded() const { return decoded_; }  // how many images load() decoded
  bool in_cache_file() const { return in_cache_file_; }

  // Copies the images of a batch, u8 (N,H,W,3), and their labels, i64 (N), on the cpu. Throws Error
  // where an index lies outside 0..count-1, and, with the list of load(), for an image that is not
  // there. Several threads may call them at once.
  Tensor batch(std::span<const std::int64_t> indices) const;
  Tensor batch_labels(std::span<const std::int64_t> indices) const;
  std::vector<std::int64_t> labels() const;

  // Returns a SHA-256 as 64 lower-case digits. It goes over the label (8 bytes, little-endian) and
  // the SHA-256 of the pixels (size*size*3 bytes, H,W,RGB) of each image, in their order.
  std::string digest() const;

 private:
  struct Row {
    std::shared_ptr<const PixelRows> rows;
    std::int64_t index = -1;
  };
  class Decoding;
  std::shared_ptr<PixelRows> load_through_file(Decoding& decoding) const;
  const Row& row_of(std::int64_t index) const;

  std::vector<Sample> samples_;
  int size_;
  std::string cache_dir_;
  Grey16 grey16_;
  std::vector<Row> rows_;  // as long as samples_
  std::vector<Unreadable> unreadable_;
  std::int64_t decoded_ = 0;
  bool in_cache_file_ = false;
};

}  // namespace reprise::data
