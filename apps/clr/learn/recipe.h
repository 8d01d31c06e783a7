// How a task is learned: everything that decides the resulting bits, besides data and backbone.
#pragma once

#include <cstdint>
#include <string>

#include "apps/clr/commands/common.h"
#include "engine/core/dtype.h"

namespace reprise::clr {

// The defaults are the original program's.
struct Recipe {
  std::string method = "clr";
  int size = 0;  // of the images, in pixels; 0: what the backbone records
  int epochs = 60;
  int batch = 32;
  double lr = 1e-3;
  int lr_step = 0;  // epochs between two decays; 0: max(1, epochs / 3)
  double gamma = 0.1;
  std::string penalty = "l2";  // "l1", "l2", "l12", "none"
  double lambda = 1e-5;
  int patience = 21;  // stop when the best epoch is more than so many epochs old
  std::string optimizer = "adam";
  double momentum = 0.9;          // of sgd
  double weight_decay = 0;        // of either
  std::string schedule = "step";  // "step", "cosine"
  double val_fraction = 0.1;
  std::int64_t max_images = 0;  // training images of a task; 0: all
  bool skip_bad = false;
  std::int64_t steps = 0;  // at most so many steps a task; 0: no limit
  std::uint64_t seed = 0;
  std::string rng = "streams";  // "streams": this project's named ones; "torch": PyTorch's sequence
  std::string device = "cpu", dtype = "f32";  // the device's kind
  std::string init_sha256, order_sha256;      // of the files given; empty: none

  int decay_every() const { return lr_step > 0 ? lr_step : (epochs / 3 > 1 ? epochs / 3 : 1); }
};

// The values under the names of the options ("lr-step"), those alone that matter for the method of training.
Json to_json(const Recipe& recipe);
// The way back, from a run.json. Error, naming the value, where one is missing or of another kind.
Recipe recipe_of(const Json& recorded, const std::string& where);
// Throws UsageError naming the option that is out of range.
void check(const Recipe& recipe);
// Throws Error naming the first option in which they differ. `where` is the run folder.
void check_same_recipe(const Json& recorded, const Json& wanted, const std::string& where);

}  // namespace reprise::clr
