// Methods: what is added to a frozen network, and what of it is trained.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "layers/conv2d.h"
#include "layers/network.h"

namespace reprise::layers {

// A whole method. Each has one file here, named after it. The head is always new and trained.
struct Method {
  std::string_view name;  // "clr"
  // What the original program calls it, which has two names for one method on two networks ("li18", "li50");
  // "" where there is none.
  std::array<std::string_view, 2> seed_names;
  std::string_view what;             // one line for help and reports
  bool trains_batch_norm;            // affine parameters by gradient, running statistics by the forward
  bool trains_convolutions = false;  // then the task stores the whole network
  bool starts_at_random = false;     // needs no backbone
  bool train_mode;  // while training, batch norm uses the batch's statistics (else the running ones)
  // What stands behind this convolution: null, or a function that gives null, where nothing does. Error where
  // the method cannot be used with it.
  std::unique_ptr<Reprogram> (*reprogram)(const Conv2d& conv) = nullptr;
};

// All methods, the default first.
REPRISE_API std::span<const Method* const> methods();
// By name or one of the seed's names; Error, with the list, where there is none.
REPRISE_API const Method& find_method(std::string_view name);

// Turns any network into its form for a method: puts the method's reprogramming layers behind its
// convolutions (what an earlier call put there goes away), and marks what is trained: those layers, the head,
// batch norm and convolutions where the method trains them, and nothing else. The mode is set as the method
// trains. The caller brings what is trained back to the backbone's values, gives the network its new head,
// and draws what the layers do not start with by themselves (start_values).
REPRISE_API const Method& apply_method(Network& network, std::string_view method);

// Draws the start values of all reprogramming layers.
REPRISE_API void start_values(Network& network, const InitStreams& streams);

// The tensors whose norms are added to the loss, one norm a tensor: head, batch norm where it is trained,
// then the blocks that have a reprogramming layer: the convolution and what the layer says (Reprogram::
// penalised). The frozen ones there add a constant to the loss that is reported, and no gradient.
struct Regularised {
  std::vector<Tensor> trained, frozen;
};
REPRISE_API Regularised regularised(const Network& network);

// What a task's file stores: every trained tensor, and the statistics of batch norm layers that are trained.
REPRISE_API std::vector<Entry> task_tensors(Network& network);
REPRISE_API std::vector<ConstEntry> task_tensors(const Network& network);

}  // namespace reprise::layers
