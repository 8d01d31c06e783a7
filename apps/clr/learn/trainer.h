// The loop over the epochs of one task.
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
  std::vector<layers::Entry> kept;        // the tensors that are the result: saved, restored, returned
  std::vector<std::vector<std::int64_t>>
      order;                                // image indices, one epoch a row; empty: shuffled by the seed
  std::optional<TorchGenerator> generator;  // shuffles instead, as PyTorch does; stands where training begins
  std::string state_file, log_file;         // log_file may be empty: none
  std::string steps_file;                   // for --log-steps; empty: none
  StateContext context;
};

struct TrainingResult {
  int epochs = 0, best_epoch = 0;
  std::optional<double> best_val, best_train;
  std::int64_t steps = 0;
  bool resumed = false;
};

// Trains to the end, going on from a state file, and leaves the best epoch's values in `kept`. The caller
// removes the state file when the result is safe. Where the observer wants a stop: saves, then throws
// Interrupted.
TrainingResult train(layers::Network& network, const TrainingJob& job, TrainingObserver& observer);

// The image indices of an epoch's batches. `generator`: as it stands when the epoch begins, if there is one.
std::vector<std::vector<std::int64_t>> batches_of_epoch(const TrainingJob& job, int epoch,
                                                        std::optional<TorchGenerator> generator = {});

}  // namespace reprise::clr
