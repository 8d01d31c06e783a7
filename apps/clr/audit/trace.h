// What every kernel wrote, in order, and the first bit in which a second run of the same steps differs.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apps/clr/audit/statistics.h"
#include "engine/kernels/probe.h"

namespace reprise::clr {

// Tensors by the address of their elements ("layer1.0.bn1.weight"), for results of kernels that change them.
using NamesByAddress = std::map<const void*, std::string>;

struct TraceFinding {
  std::int64_t step = 0, call = 0;    // both counted from 1; the kernel's place in its step
  std::string kernel, layer, tensor;  // layer, tensor: empty where there is none, or no name
  int output = 0;                     // of the kernel's outputs, counted from 0
  Shape shape;
  std::optional<Difference> difference;  // none: the runs called other kernels, or on other shapes
  std::string text() const;
};

// A way of doing the same steps.
struct TracedRun {
  std::string name;
  std::function<void()> step;
};
struct TracedResult {
  std::string name;
  std::int64_t steps = 0, kernels = 0, values = 0;  // that were compared; of the first run: done
  std::optional<TraceFinding> finding;
};
// Does step by step what each run does, and compares every output of every kernel with that of the first run.
// A run that differs is left off there. Keeps the outputs of one step.
std::vector<TracedResult> compare_runs(const std::vector<TracedRun>& runs, std::int64_t steps,
                                       const NamesByAddress& names = {});

}  // namespace reprise::clr
