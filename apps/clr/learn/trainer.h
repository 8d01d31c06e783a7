// The training of one task: the loop over its epochs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/clr/learn/observer.h"
#include "apps/clr/learn/recipe.h"
#include "apps/clr/learn/state.h"
#include "data/loader/image_store.h"
#include "engine/base/torch_random.h"
#include "layers/network.h"

namespace reprise::clr {

struct TrainingJob {
  std::string task;
  Recipe recipe;
  Device device;
  DType dtype = DType::f32;
  const data::ImageStore* train = nullptr;
  const data::ImageStore* val = nullptr;  // null: the last epoch counts as the best
  std::vector<layers::Entry> kept;        // the network's tensors that are the result: task_tensors
  std::vector<std::vector<std::int64_t>>
      order;  // image indices, a row for each epoch; empty: shuffled by the seed
  std::optional<TorchGenerator> generator;  // as before the first epoch; absent: named streams
  std::string state_file, log_file;         // log_file may be empty: none is written
  std::string steps_file;                   // of --log-steps; empty: none
  StateContext context;
};

struct TrainingResult {
  int epochs = 0, best_epoch = 0;
  std::optional<double> best_val, best_train;
  std::int64_t steps = 0;
  bool resumed = false;
};

// Trains to the end and leaves the best epoch's values in `kept`. If the state file exists,
// continues from it. The caller removes that file when the result is safe. If the observer asks for
// a stop, saves the state and throws Interrupted.
TrainingResult train(layers::Network& network, const TrainingJob& job, TrainingObserver& observer);

// Returns the image indices of an epoch's batches; `epoch` counts from 0. `generator`:
// its state when the epoch begins.
std::vector<std::vector<std::int64_t>> batches_of_epoch(const TrainingJob& job, int epoch,
                                                        std::optional<TorchGenerator> generator = {});

}  // namespace reprise::clr
