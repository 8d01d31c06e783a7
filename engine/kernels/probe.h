// Watching kernels from outside: every call with its operands, and what the reference makes of it in double.
#pragma once

#include <span>
#include <string_view>

#include "engine/base/export.h"
#include "engine/core/device.h"
#include "engine/core/dtype.h"
#include "engine/core/view.h"

namespace reprise {

// One call, after it. Operands stand in the order of kernels.def, outputs (and what is changed in place) are
// written by then. From a GPU they are copies on the host. An absent operand's view is empty.
struct KernelCall {
  struct Operand {
    View view;
    bool written;
    std::string_view name = {};  // as kernels.def has it
  };
  const char* name;
  Device device;  // where it ran: ref where a cpu kernel fell back
  DType dtype;
  std::span<const Operand> operands;
  // What ref computes in double from the same inputs, for each operand in the same order: f64 where the
  // operand is floating, else the operand itself. Empty unless wants_reference().
  std::span<const View> reference;
};

class REPRISE_API KernelProbe {
 public:
  virtual ~KernelProbe();
  virtual bool wants_reference() const { return false; }
  // May throw Error, which ends the op that called the kernel.
  virtual void after(const KernelCall& call) = 0;
};

// From now on every kernel of this process is shown to the probe, which must live until it is replaced.
// Without one (nullptr) a kernel costs nothing more. Returns the probe that was there.
REPRISE_API KernelProbe* set_kernel_probe(KernelProbe* probe);

// While it lives, the probe is the one that sees the kernels.
class ProbeScope {
 public:
  explicit ProbeScope(KernelProbe& probe) : before_(set_kernel_probe(&probe)) {}
  ~ProbeScope() { set_kernel_probe(before_); }
  ProbeScope(const ProbeScope&) = delete;
  ProbeScope& operator=(const ProbeScope&) = delete;

 private:
  KernelProbe* before_;
};

}  // namespace reprise
