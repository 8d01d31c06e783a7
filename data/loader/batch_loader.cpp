#include "data/loader/batch_loader.h"

#include <utility>

namespace reprise::data {

Loader::Loader(const ImageStore& store, std::vector<std::vector<std::int64_t>> batches)
    : store_(store), batches_(std::move(batches)), thread_([this] { prepare_all(); }) {}

Loader::~Loader() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

std::optional<Batch> Loader::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return ready_ || finished_; });
  if (ready_) {
    std::optional<Batch> batch = std::exchange(ready_, std::nullopt);
    lock.unlock();
    changed_.notify_all();
    return batch;
  }
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  return std::nullopt;
}

void Loader::prepare_all() {
  std::exception_ptr error;
  try {
    for (const std::vector<std::int64_t>& indices : batches_) {
      Batch batch{store_.batch(indices), store_.batch_labels(indices), indices};
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return !ready_ || stop_; });
      if (stop_) break;
      ready_ = std::move(batch);
      lock.unlock();
      changed_.notify_all();
    }
  } catch (...) {
    error = std::current_exception();
  }
  {
    const std::lock_guard lock(mutex_);
    error_ = std::move(error);
    finished_ = true;
  }
  changed_.notify_all();
}

}  // namespace reprise::data
