// What the imitation of cuDNN has seen, for tests.
#pragma once

namespace reprise::emulation {

// The last convolution that the imitation computed: cuDNN's numbers of the algorithm and the math
// type, and the channels of the input.
struct SeenConvolution {
  int algorithm = -1, math = -1, channels = 0;
};
SeenConvolution& last_convolution();

}  // namespace reprise::emulation
