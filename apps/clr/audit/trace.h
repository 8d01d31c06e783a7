// Compares everything that every kernel writes in several runs
// of the same steps, and finds the first difference.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apps/clr/audit/statistics.h"
#include "engine/kernels/probe.h"

namespace reprise::clr {

// Names of tensors ("layer1.0.bn1.weight") by the address of their elements. A finding gives the
// name if the output that differs has such an address.
using NamesByAddress = std::map<const void*, std::string>;

// The first difference between a run and the first run.
struct TraceFinding {
  std::int64_t step = 0, call = 0;       // counted from 1; call: the kernel call within the step
  std::string kernel, layer, tensor;     // layer, tensor: empty if unknown
  int output = 0;                        // index of the kernel's output, counted from 0
  Shape shape;                           // of that output
  std::optional<Difference> difference;  // none: the runs called other kernels, or on other shapes
  std::string text() const;
};

// One way to do the same steps, such as with another number of threads.
struct TracedRun {
  std::string name;
  std::function<void()> step;  // does the next step
};
struct TracedResult {
  std::string name;
  // How many steps, kernel calls and values were compared; for the first run: how many it had.
  std::int64_t steps = 0, kernels = 0, values = 0;
  std::optional<TraceFinding> finding;
};
// Does each step with every run and compares every output of every kernel with that of the first
// run. A run that differs does no further steps. Holds the outputs of one step in memory.
std::vector<TracedResult> compare_runs(const std::vector<TracedRun>& runs, std::int64_t steps,
                                       const NamesByAddress& names = {});

}  // namespace reprise::clr
