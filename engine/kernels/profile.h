// What REPRISE_DEBUG and REPRISE_TRACE make of the kernels that ran: a table sorted by time, and a trace of
// the steps.
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

// One kernel that has run.
struct TimedKernel {
  std::string name;
  Device device;
  DType dtype;
  std::string shapes;  // " [32, 56, 56, 64] [64, 3, 3, 64] -> [32, 56, 56, 64]"
  std::string layer;   // in whose forward or backward; empty outside of one
  int thread = 0;
  double start = 0, seconds = 0;  // of seconds_now()
  // Multiply-adds count twice, of the direct form, in convolutions and products alone (0: judged by its
  // bytes).
  double flop = 0, bytes = 0;
};
REPRISE_API TimedKernel timed_kernel(const char* name, Device device, DType dtype,
                                     const std::vector<KernelCall::Operand>& operands, double start,
                                     double seconds);
// "[kernel] conv2d_fwd ... ms ... GFLOP/s ... GB/s [shapes]"
REPRISE_API std::string line_of(const TimedKernel& kernel);

// Sums over the kernels of one name, device and dtype, and, if asked for, of the same shapes.
class REPRISE_API KernelTable {
 public:
  explicit KernelTable(bool by_shapes) : by_shapes_(by_shapes) {}
  void add(const TimedKernel& kernel);
  // Sorted by time, with shares and a total. "of limit": the nearer of the two to the machine's arithmetic or
  // its memory, for kernels on the host's fast backend. The `rows` longest, then the rest as one line.
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

// The first kernels of a run, for Perfetto or chrome://tracing (the "JSON Array Format" of Chrome's trace
// events): a row of kernels, and above it a row of the layers that they ran for.
class REPRISE_API KernelTrace {
 public:
  static constexpr std::size_t most = 100'000;  // events kept; later ones are counted alone
  void add(const TimedKernel& kernel);
  std::string json() const;

 private:
  std::vector<TimedKernel> kernels_;
  std::size_t left_out_ = 0;
};

namespace detail {
// REPRISE_DEBUG, read once.
int debug_level();
// Whether the environment asks for the times of kernels. Error where REPRISE_TRACE names a file that cannot
// be written.
bool profiling();
// For the table and the trace, both of which are written when the process ends.
void note(const TimedKernel& kernel);
}  // namespace detail

}  // namespace reprise
