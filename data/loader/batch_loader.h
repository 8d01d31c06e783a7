// Batches of one epoch, in order, the next one copied by a thread while the present one is computed.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "data/loader/image_store.h"
#include "engine/core/export.h"
#include "engine/core/tensor.h"

namespace reprise::data {

struct Batch {
  Tensor images;                      // u8 (N,H,W,3)
  Tensor labels;                      // i64 (N)
  std::vector<std::int64_t> indices;  // of the images in their split
};

class REPRISE_API Loader {
 public:
  // The store outlives the loader and is loaded.
  Loader(const ImageStore& store, std::vector<std::vector<std::int64_t>> batches);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // The next batch; nothing after the last. Rethrows what went wrong with it, in its place; then nothing
  // more.
  std::optional<Batch> next();
  std::int64_t batches() const { return static_cast<std::int64_t>(batches_.size()); }

 private:
  void prepare_all();

  const ImageStore& store_;
  const std::vector<std::vector<std::int64_t>> batches_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Batch> ready_;  // prepared and not yet taken
  std::exception_ptr error_;
  bool finished_ = false;  // the thread prepares no more
  bool stop_ = false;      // nobody wants any more
  std::thread thread_;     // last: it uses all of the above
};

}  // namespace reprise::data
