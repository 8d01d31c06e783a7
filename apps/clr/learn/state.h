// Where a task's training stands: what a resume needs to go on with the same bits.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/weights/state_dict.h"
#include "layers/module.h"

namespace reprise::clr {

// Copies of tensors, in memory layout, for the state file alone.
using Snapshot = std::vector<data::NamedTensor>;

struct TrainState {
  int epoch = 0;           // finished epochs
  std::int64_t step = 0;   // steps done of the one after
  std::int64_t steps = 0;  // steps done in all
  // Of the unfinished epoch.
  double loss_sum = 0, seconds = 0;
  std::int64_t correct = 0, seen = 0;
  // The best epoch so far; 0 is the start.
  int best_epoch = 0;
  std::optional<double> best_val, best_train;
  Snapshot best;
  // With PyTorch's random numbers: where the generator stood when the unfinished epoch began; else empty.
  std::string generator;
  std::vector<std::string> log;  // lines of log/<task>.csv, one a finished epoch
};

Snapshot take_snapshot(const std::vector<layers::Entry>& entries);
// Copies the values back into the same tensors. Error unless names, dtypes and shapes are equal.
void restore_snapshot(const std::vector<layers::Entry>& entries, const Snapshot& snapshot);

// What is written beside the state: the network's tensors as they are now, and the optimizer's.
struct Training {
  Snapshot now, optimizer;
};

// What a half-learned task must find unchanged. What is empty is left out of the file and of the comparison.
struct StateContext {
  std::string task, architecture, backbone;  // the backbone's identity
  std::string recipe;                        // JSON: see recipe.h
  std::map<std::string, std::string> data;   // digests by split
  std::string winograd, bf16_order, instruction_set;
};

void save_state(const std::string& path, const TrainState& state, const Training& training,
                const StateContext& context);
// Nothing where there is no such file. Error if it is damaged or of another context, with the difference.
std::optional<std::pair<TrainState, Training>> load_state(const std::string& path,
                                                          const StateContext& context);

}  // namespace reprise::clr
