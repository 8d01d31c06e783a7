// The layer table of a network: output shapes, numbers of parameters, operations.
#pragma once

#include <string>
#include <vector>

#include "layers/network.h"

namespace reprise::layers {

struct LayerRow {
  std::string name, type;       // the module's path and type()
  Shape output;                 // the output's shape for one image: (1,H,W,C) or (1,F)
  std::int64_t parameters = 0;  // numbers in the module's own parameters, without buffers
  std::int64_t trained = 0;     // those of them that require a gradient
  std::int64_t flops = 0;       // floating-point operations for one image; a multiply-add counts as two
};

// Returns a row for every module that computes something itself, in the order of modules().
// Traces one forward in evaluation mode for one image of height x width pixels, computing shapes
// but no values, and restores the mode. Throws Error if the network cannot take such an image.
REPRISE_API std::vector<LayerRow> summarize(Network& network, int height, int width);

// Formats the rows as a text table whose last line holds the sums.
REPRISE_API std::string render(const std::vector<LayerRow>& rows);

}  // namespace reprise::layers
