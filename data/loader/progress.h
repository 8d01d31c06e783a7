// Counts what a parallel loop has done. Private to data/loader.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "data/loader/image_store.h"

namespace reprise::data {

// Counts for several threads and calls the Progress, one call at a time. After an exception from
// the Progress stopped() is true and it is not called again.
class ProgressCount {
 public:
  ProgressCount(const Progress& progress, std::int64_t total) : progress_(progress), total_(total) {}

  bool stopped() const { return stopped_; }
  void step() {
    if (progress_) advance(1);
  }
  // Reports the end where the steps have not.
  void finish() {
    if (progress_ && done_ < total_) advance(total_ - done_);
  }

 private:
  void advance(std::int64_t by) {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    try {
      progress_(done_ += by, total_);
    } catch (...) {
      stopped_ = true;
      throw;
    }
  }

  const Progress& progress_;
  const std::int64_t total_;
  std::mutex mutex_;
  std::int64_t done_ = 0;
  std::atomic<bool> stopped_{false};
};

}  // namespace reprise::data
