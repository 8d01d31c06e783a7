// Learning rates as pure functions of the epoch, counted from 0.
#pragma once

#include "engine/base/export.h"

namespace reprise::optim {

// base * gamma^(epoch / step), multiplied out as PyTorch does: the same bits. step at least 1.
struct StepLr {
  double base = 1e-3;
  int step = 20;
  double gamma = 0.1;
  REPRISE_API double at(int epoch) const;
};

// Half a cosine from base at epoch 0 to least at epoch `epochs`, and least from there on. epochs at least 1.
struct CosineLr {
  double base = 1e-3;
  int epochs = 60;
  double least = 0;
  REPRISE_API double at(int epoch) const;
};

}  // namespace reprise::optim
