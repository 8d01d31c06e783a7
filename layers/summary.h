// The network as a table.
#pragma once

#include <string>
#include <vector>

#include "layers/network.h"

namespace reprise::layers {

struct LayerRow {
  std::string name, type;
  Shape output;                 // for one image: (1,H,W,C) or (1,F)
  std::int64_t parameters = 0;  // numbers, buffers not counted
  std::int64_t trained = 0;     // those that require a gradient
  std::int64_t flops = 0;       // for one image; a multiplication and an addition are two
};

// A row for every module that computes something itself, in the order of the names. Runs the network once, in
// evaluation mode, on an image of zeros; the mode is put back.
REPRISE_API std::vector<LayerRow> summarize(Network& network, int height, int width);

// The table as text, with a last line of sums.
REPRISE_API std::string render(const std::vector<LayerRow>& rows);

}  // namespace reprise::layers
