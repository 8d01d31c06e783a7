// Learning rates as pure functions of the epoch, which counts from 0.
#pragma once

#include "engine/base/export.h"

namespace reprise::optim {

// Multiplies the rate by gamma every `step` epochs:
//   at(epoch) = base * gamma^floor(epoch / step)
// by repeated multiplication as in PyTorch, with its bits. Throws Error if step < 1 or epoch < 0.
struct StepLr {
  double base = 1e-3;
  int step = 20;
  double gamma = 0.1;
  REPRISE_API double at(int epoch) const;
};

// Follows half a cosine from base at epoch 0 to least at epoch `epochs`, and stays there:
//   at(epoch) = least + (base - least) * (1 + cos(pi * epoch / epochs)) / 2
// Throws Error if epochs < 1 or epoch < 0.
struct CosineLr {
  double base = 1e-3;
  int epochs = 60;
  double least = 0;
  REPRISE_API double at(int epoch) const;
};

}  // namespace reprise::optim
