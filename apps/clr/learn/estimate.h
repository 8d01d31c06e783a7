// What can be said before the first step: memory, and batches that cannot work.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "layers/network.h"

namespace reprise::clr {

struct MemoryEstimate {
  std::int64_t fixed = 0;      // weights, their packed forms, gradients, the optimizer's tensors, best values
  std::int64_t per_image = 0;  // activations kept for backward, and the gradients on their way
  std::int64_t of_batch(std::int64_t batch) const { return fixed + batch * per_image; }
};
// For training steps on images of size x size.
MemoryEstimate estimate_memory(layers::Network& network, int size, DType dtype);

// Bytes that this process may still take there: what the system and the cgroup leave, or a GPU's free memory.
std::int64_t available_memory(Device device);

// Error, naming the largest batch that fits, if this one does not.
void check_memory(const MemoryEstimate& estimate, std::int64_t batch, std::int64_t available);

// The fewest values per channel that a batch norm which uses the batch's statistics gets of one image; 0
// where there is no such layer.
std::int64_t least_batch_norm_values(layers::Network& network, int size);

// Error, naming a batch that works for all tasks, if the last batch of one of them would give batch norm a
// single value per channel.
struct TaskImagesCount {
  std::string task;
  std::int64_t train_images;
};
void check_last_batch(const std::vector<TaskImagesCount>& tasks, std::int64_t batch,
                      std::int64_t values_per_image);

}  // namespace reprise::clr
