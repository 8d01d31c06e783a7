// The state of a half-learned task: everything that a resume needs to continue with the same bits.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/weights/state_dict.h"
#include "layers/module.h"

namespace reprise::clr {

// Copies of tensors by name, in memory layout, on the host. For the state file only.
using Snapshot = std::vector<data::NamedTensor>;

struct TrainState {
  int epoch = 0;           // number of finished epochs
  std::int64_t step = 0;   // steps done in the unfinished epoch
  std::int64_t steps = 0;  // steps done in all epochs
  // Sums over the unfinished epoch's steps: losses, time, correct and all images.
  double loss_sum = 0, seconds = 0;
  std::int64_t correct = 0, seen = 0;
  // The best epoch so far, its accuracies and tensors. Epoch 0 means: before the first step.
  int best_epoch = 0;
  std::optional<double> best_val, best_train;
  Snapshot best;
  // The generator's state when the unfinished epoch began (--rng torch); empty with named streams.
  std::string generator;
  std::vector<std::string> log;  // lines of log/<task>.csv, one for each finished epoch
};

Snapshot take_snapshot(const std::vector<layers::Entry>& entries);
// Copies the values back into the same tensors.
// Throws Error unless names, dtypes and shapes are equal.
void restore_snapshot(const std::vector<layers::Entry>& entries, const Snapshot& snapshot);

// The present tensors of the network (`now`) and of the optimizer, written beside the state.
struct Training {
  Snapshot now, optimizer;
};

// The circumstances that a resume must find unchanged.
// An empty member is neither written nor compared.
struct StateContext {
  std::string task, architecture, backbone;  // backbone: its identity
  std::string recipe;                        // JSON text (see recipe.h)
  std::map<std::string, std::string> data;   // digests of labels and pixels, by split
  std::string winograd, bf16_order, instruction_set;
};

// Writes the state file, whole or not at all.
void save_state(const std::string& path, const TrainState& state, const Training& training,
                const StateContext& context);
// Reads the state file; returns nothing if there is none, and with a line if it was written with
// another instruction set. Throws Error if the file is damaged, or if the context differs in
// anything else: the message shows both values.
std::optional<std::pair<TrainState, Training>> load_state(const std::string& path,
                                                          const StateContext& context);

}  // namespace reprise::clr
