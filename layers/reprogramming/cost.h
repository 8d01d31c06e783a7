// What a task costs beside the backbone: numbers to store, and arithmetic.
#pragma once

#include <cstdint>

#include "layers/network.h"

namespace reprise::layers {

// Counts of numbers, of a network in a method's form (apply_method). The whole network is the one that the
// task would need without a backbone to share: the backbone's body with a head of the task's classes.
struct TaskCost {
  // What the task stores.
  std::int64_t reprogramming = 0;  // parameters of the layers that the method adds
  std::int64_t convolutions = 0;   // where the method trains them
  std::int64_t batch_norm = 0;     // scale and shift, where the method trains them
  std::int64_t statistics = 0;     // running mean and variance then; stored, not parameters
  std::int64_t head = 0;
  // What it is compared with.
  std::int64_t body_parameters = 0;  // the backbone without head and statistics
  std::int64_t network_parameters = 0;
  std::int64_t network_numbers = 0;  // with statistics
  std::int64_t number_bytes = 4;     // of one number

  // Without the head, with statistics: what the CLR paper divides by body_parameters.
  std::int64_t without_head() const { return reprogramming + convolutions + batch_norm + statistics; }
  std::int64_t parameters() const { return reprogramming + convolutions + batch_norm + head; }
  std::int64_t bytes() const { return (without_head() + head) * number_bytes; }
  std::int64_t network_bytes() const { return network_numbers * number_bytes; }
};
REPRISE_API TaskCost cost_of(const Network& network);

// Multiply-adds for one image, half of the floating-point operations of convolutions and head (backbone) and
// of what the method adds; batch norm, ReLU and pooling are left out. Runs the network once on zeros.
struct MultiplyAdds {
  std::int64_t backbone = 0, added = 0;
};
REPRISE_API MultiplyAdds multiply_adds_of(Network& network, int height, int width);

}  // namespace reprise::layers
