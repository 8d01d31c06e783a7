#include "optim/schedules.h"

#include <cmath>
#include <numbers>

#include "engine/base/check.h"

namespace reprise::optim {

double StepLr::at(int epoch) const {
  REPRISE_CHECK(step >= 1 && epoch >= 0,
                "StepLr: step must be at least 1 and epoch at least 0, got {} and {}", step, epoch);
  double lr = base;
  for (int i = 0; i < epoch / step; ++i) lr *= gamma;
  return lr;
}

double CosineLr::at(int epoch) const {
  REPRISE_CHECK(epochs >= 1 && epoch >= 0,
                "CosineLr: epochs must be at least 1 and epoch at least 0, got {} and {}", epochs, epoch);
  if (epoch >= epochs) return least;
  return least + (base - least) * (1 + std::cos(std::numbers::pi * epoch / epochs)) / 2;
}

}  // namespace reprise::optim
