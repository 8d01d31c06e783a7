// The cost of a task in addition to the backbone: numbers to store, and arithmetic.
#pragma once

#include <cstdint>

#include "layers/network.h"

namespace reprise::layers {

// Counts of numbers in a network that apply_method has prepared for a method.
struct TaskCost {
  // What the task stores. Convolutions and batch norm count only if the method trains them.
  std::int64_t reprogramming = 0;  // parameters of the layers that the method adds
  std::int64_t convolutions = 0;   // filters, and biases if there are any
  std::int64_t batch_norm = 0;     // scale and shift
  std::int64_t statistics = 0;     // mean and variance of trained batch norms; no parameters
  std::int64_t head = 0;           // weight and bias
  // For comparison: what a separate network for this task would store, a body and the task's head.
  std::int64_t body_parameters = 0;     // without head and statistics
  std::int64_t network_parameters = 0;  // with the head
  std::int64_t network_numbers = 0;     // with head and statistics
  std::int64_t number_bytes = 4;        // bytes per number

  // All that the task stores except its head. The CLR paper divides it by body_parameters.
  std::int64_t without_head() const { return reprogramming + convolutions + batch_norm + statistics; }
  std::int64_t parameters() const { return reprogramming + convolutions + batch_norm + head; }
  std::int64_t packed_bytes = 0;  // of a packed task's tensors; 0: it is not packed
  std::int64_t bytes() const {
    return packed_bytes > 0 ? packed_bytes : (without_head() + head) * number_bytes;
  }
  std::int64_t network_bytes() const { return network_numbers * number_bytes; }
};
// Counts what `network` stores for its task.
REPRISE_API TaskCost cost_of(const Network& network);

// Multiply-adds per image: of convolutions and head (backbone), and of the method's layers (added).
// Batch norm, ReLU and pooling are not counted.
struct MultiplyAdds {
  std::int64_t backbone = 0, added = 0;
};
// Counts the multiply-adds for one image of height x width pixels, without computing values.
REPRISE_API MultiplyAdds multiply_adds_of(Network& network, int height, int width);

}  // namespace reprise::layers
