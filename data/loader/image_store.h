// The decoded, resized images of one split: decoded once, then only copied.
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

// Called with images done and images in all, by one thread at a time; what it throws ends the loading.
using Progress = std::function<void(std::int64_t done, std::int64_t total)>;

class REPRISE_API ImageStore {
 public:
  // Images of size x size pixels, RGB. Cache files go to `cache_dir` (made when needed), or to
  // REPRISE_CACHE_DIR where that is set.
  ImageStore(std::vector<Sample> samples, int size, std::string cache_dir, Grey16 grey16 = Grey16::scale);

  // Takes over what another store of the same size and Grey16 has decoded of the same paths. Before load().
  void adopt(const ImageStore& other);

  // Decodes on all threads what is not there yet, into memory where all stores together stay within
  // REPRISE_CACHE_MB, else into a cache file. A complete cache file of the same contents, size and decoders
  // is used instead of decoding. Returns what cannot be read, in the order of the samples. Error where the
  // cache cannot be written.
  std::vector<Unreadable> load(const Progress& progress = {});

  std::int64_t count() const { return static_cast<std::int64_t>(samples_.size()); }
  std::int64_t missing() const;  // images that load() has yet to bring
  int size() const { return size_; }
  const std::vector<Sample>& samples() const { return samples_; }
  std::int64_t decoded() const { return decoded_; }  // how many images load() decoded
  bool in_cache_file() const { return in_cache_file_; }

  // The images, u8 (N,H,W,3), and their labels, i64 (N), on the cpu. Error if an index lies outside
  // 0..count-1. May be called by several threads at once, after load() returned nothing unreadable.
  Tensor batch(std::span<const std::int64_t> indices) const;
  Tensor batch_labels(std::span<const std::int64_t> indices) const;
  std::vector<std::int64_t> labels() const;

  // SHA-256 over, image by image, the label (8 bytes, little-endian) and the SHA-256 of the pixels
  // (size*size*3 bytes, H,W,RGB): 64 lower-case digits.
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
  std::int64_t decoded_ = 0;
  bool in_cache_file_ = false;
};

}  // namespace reprise::data
