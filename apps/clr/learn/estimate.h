// Checks before the first step: expected memory, and batches that cannot work.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "layers/network.h"

namespace reprise::clr {

// Expected memory of a training step, in bytes.
struct MemoryEstimate {
  std::int64_t fixed = 0;      // weights, their packed forms, gradients, the optimizer's tensors, best values
  std::int64_t per_image = 0;  // activations kept for backward, gradients of activations, the image itself
  std::int64_t of_batch(std::int64_t batch) const { return fixed + batch * per_image; }
};
// Estimates the memory of training steps on images of size x size pixels.
MemoryEstimate estimate_memory(layers::Network& network, int size, DType dtype);

// Returns the bytes that this process may still take on the device. On the host this is what the
// system and the control groups leave; on a GPU, its free memory.
std::int64_t available_memory(Device device);
// Returns the least number of bytes that any of these groups' limits leaves (see cgroup_folders);
// the largest number there is without a limit.
std::int64_t memory_left(const std::vector<std::string>& cgroup_folders);

// Throws an Error that names the largest batch that fits, if this one does not.
void check_memory(const MemoryEstimate& estimate, std::int64_t batch, std::int64_t available);

// Returns how many values per channel one image of size x size pixels gives to the batch norm with
// the smallest map: that map's height x width. Returns 0 without a batch norm in training mode.
std::int64_t least_batch_norm_values(layers::Network& network, int size);

using TaskImages = std::pair<std::string, std::int64_t>;  // a task, and the number of its training images
// Throws an Error that names a batch that works, if a task's last batch would give batch norm one
// value per channel. `values_per_image`: from least_batch_norm_values.
void check_last_batch(const std::vector<TaskImages>& tasks, std::int64_t batch,
                      std::int64_t values_per_image);

}  // namespace reprise::clr
