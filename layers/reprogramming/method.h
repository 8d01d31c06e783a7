// Methods: what is added to a frozen network, and what of it is trained.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "layers/conv2d.h"
#include "layers/network.h"

namespace reprise::layers {

// A whole method. Each has one file here, named after it. The head is always new and trained; the
// convolutions never are.
struct Method {
  std::string_view name;       // "clr"
  std::string_view seed_name;  // what the original program calls it; "" if it has no such method
  std::string_view what;       // one line for help and reports
  bool trains_batch_norm;      // affine parameters by gradient, running statistics by the forward
  bool train_mode;  // while training, batch norm uses the batch's statistics (else the running ones)
  // What stands behind this convolution; null where nothing does.
  std::unique_ptr<Reprogram> (*reprogram)(const Conv2d& conv);
};

// All methods, the default first.
REPRISE_API std::span<const Method* const> methods();
// By name or seed name; Error, with the list, where there is none.
REPRISE_API const Method& find_method(std::string_view name);

// Turns any network into its form for a method: puts the method's reprogramming layers behind its
// convolutions, starting as the identity (what an earlier call put there goes away), and marks what is
// trained: those layers, the head, batch norm where the method trains it, and nothing else. The mode is set
// as the method trains. The caller brings batch norm back to the backbone's values and gives the network its
// new head.
REPRISE_API const Method& apply_method(Network& network, std::string_view method);

// The tensors whose norms are added to the loss, one norm a tensor: head, batch norm where it is trained,
// then everything in the blocks that have a reprogramming layer. The frozen ones there add a constant to the
// loss that is reported, and no gradient.
struct Regularised {
  std::vector<Tensor> trained, frozen;
};
REPRISE_API Regularised regularised(Network& network);

// What a task's file stores: every trained tensor, and the statistics of batch norm layers that are trained.
REPRISE_API std::vector<Entry> task_tensors(Network& network);

}  // namespace reprise::layers
