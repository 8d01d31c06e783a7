// Methods that adapt a frozen network to a task: which layers they add, which tensors they train.
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

// A method. Each is defined in a file of its own in this folder. Every method gives the task a new
// head and trains it.
struct Method {
  std::string_view name;  // such as "clr"
  // The original's names for the method, at most one per network ("li18", "li50"); "" if unused.
  std::array<std::string_view, 2> original_names;
  std::string_view what;             // a one-line description for help and reports
  bool trains_batch_norm;            // trains scale and shift, and moves the running statistics
  bool trains_convolutions = false;  // if so, the task stores the whole network
  bool starts_at_random = false;     // if so, there is no backbone
  bool train_mode;  // true: training normalises with batch statistics; false: with running statistics
  // Returns a new reprogramming layer for `conv`, or null if this convolution gets none.
  // Throws Error if the method cannot be used with `conv`.
  // The member itself is null for a method that adds no layers.
  std::unique_ptr<Reprogram> (*reprogram)(const Conv2d& conv) = nullptr;
};

// Returns all methods, the default first; of two that fit the same network, the one that trains less
// comes first. They live as long as the program.
REPRISE_API std::span<const Method* const> methods();
// Finds a method by its name or the original's. Throws Error, with the list, for an unknown name.
REPRISE_API const Method& find_method(std::string_view name);

// Prepares any network for a method: adds the method's reprogramming layers to the convolutions
// (in place of earlier ones), requires a gradient of exactly the tensors that the method trains,
// and sets the mode in which it trains. Afterwards the caller still has to restore the trained
// tensors to the backbone's values, call start_values, and replace the head.
// Returns the method. Throws Error as find_method and Method::reprogram do.
REPRISE_API const Method& apply_method(Network& network, std::string_view method);

// Sets all reprogramming layers to their start values: constants, or samples from `streams`.
REPRISE_API void start_values(Network& network, const InitStreams& streams);

// The tensors that the penalty counts, one norm per tensor: the head, trained batch norms, and for
// every convolution with a reprogramming layer both the convolution's own tensors and the layer's
// (Reprogram::penalised). Frozen tensors add a constant to the reported loss, and no gradient.
struct Regularised {
  std::vector<Tensor> trained, frozen;
};
REPRISE_API Regularised regularised(const Network& network);

// Returns the tensors that a task file stores:
// all trained ones, and the running statistics of trained batch norms.
REPRISE_API std::vector<Entry> task_tensors(Network& network);
REPRISE_API std::vector<ConstEntry> task_tensors(const Network& network);

}  // namespace reprise::layers
