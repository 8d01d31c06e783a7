// What can be said before the first step: memory, and batches that cannot work.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
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

// Returns the bytes that this process may still take there: what the system and the control groups
// leave, or a GPU's free memory.
std::int64_t available_memory(Device device);
// Returns the least number of bytes that any of these groups' limits leaves (see cgroup_folders);
// the largest number there is without a limit.
std::int64_t memory_left(const std::vector<std::string>& cgroup_folders);

// Error, naming the largest batch that fits, if this one does not.
void check_memory(const MemoryEstimate& estimate, std::int64_t batch, std::int64_t available);

// The fewest values per channel that a batch norm in training mode gets of one image; 0 where there
// is none.
std::int64_t least_batch_norm_values(layers::Network& network, int size);

// Error, naming a batch that works, if a task's last batch would give batch norm one value per
// channel.
using TaskImages = std::pair<std::string, std::int64_t>;  // a task, and how many train
void check_last_batch(const std::vector<TaskImages>& tasks, std::int64_t batch,
                      std::int64_t values_per_image);

}  // namespace reprise::clr
