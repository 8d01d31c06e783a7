// The profile of a run: a table of kernels by time (REPRISE_DEBUG) and a trace (REPRISE_TRACE).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/export.h"
#include "engine/core/device.h"
#include "engine/core/dtype.h"
#include "engine/kernels/cpu/base/machine.h"
#include "engine/kernels/probe.h"

namespace reprise {

// Returns whether the environment or a probe asks to see every kernel, with its time or operands.
REPRISE_API bool kernels_watched();

// One kernel that has run.
struct TimedKernel {
  std::string name;
  Device device;
  DType dtype;
  std::string shapes;  // " [32, 56, 56, 64] [64, 3, 3, 64] -> [32, 56, 56, 64]"
  std::string layer;   // the path of the layer that ran the op; empty outside of layers
  int thread = 0;
  double start = 0, seconds = 0;  // start: by seconds_now()
  // flop: two per multiply-add of a matrix product or a convolution's direct form; 0 for the rest.
  double flop = 0, bytes = 0;  // bytes: of all operands
};
// Returns a kernel's record: counts its operations and bytes and notes shapes, layer and thread.
REPRISE_API TimedKernel timed_kernel(const char* name, Device device, DType dtype,
                                     const std::vector<KernelCall::Operand>& operands, double start,
                                     double seconds);
// Returns "[kernel] conv2d_fwd … ms … GFLOP/s … GB/s [shapes]".
REPRISE_API std::string line_of(const TimedKernel& kernel);

// Sums the time, operations and bytes of all kernels with the same name, device kind and dtype, and
// with `by_shapes` also the same shapes.
class REPRISE_API KernelTable {
 public:
  explicit KernelTable(bool by_shapes) : by_shapes_(by_shapes) {}
  void add(const TimedKernel& kernel);
  // Returns the table: the `rows` longest kernels by time, the rest as one line, and a total.
  // "of the limit", for cpu kernels only: the share of the machine's arithmetic or of its
  // bandwidth, whichever is larger.
  std::string text(const Machine& machine, std::size_t rows = 40) const;

 private:
  struct Sum {
    Device device;
    std::int64_t calls = 0;
    double seconds = 0, flop = 0, bytes = 0;
  };
  bool by_shapes_;
  std::map<std::string, Sum> sums_;
};

// The first kernels of a run, in Chrome's "JSON Array Format" for Perfetto or chrome://tracing.
// Each thread has a row of kernels and above it a row of the layers that ran them.
class REPRISE_API KernelTrace {
 public:
  static constexpr std::size_t most = 100'000;  // kernels kept; later ones are only counted
  void add(const TimedKernel& kernel);
  std::string json() const;

 private:
  std::vector<TimedKernel> kernels_;
  std::size_t left_out_ = 0;
};

namespace detail {
int debug_level();  // REPRISE_DEBUG, read at the first call
// Returns whether the environment asks for the table or the trace, which are written when
// the process ends. Throws Error if REPRISE_TRACE names a file that cannot be written.
bool profiling();
void note(const TimedKernel& kernel);  // adds the kernel to the table and the trace
}  // namespace detail

}  // namespace reprise
