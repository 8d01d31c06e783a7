// Probes: they see every kernel call with its operands and, on request, the reference's results.
#pragma once

#include <span>
#include <string_view>

#include "engine/base/export.h"
#include "engine/core/device.h"
#include "engine/core/dtype.h"
#include "engine/core/view.h"

namespace reprise {

// One call that has finished. Operands have the order of kernels.def; those of a GPU are copies
// on the host. An absent operand's view is empty. Nothing here outlives the call of after().
struct KernelCall {
  struct Operand {
    View view;
    bool written;                // whether the operand is an output or changed in place
    std::string_view name = {};  // its name in kernels.def or block.h
  };
  const char* name;
  Device device;  // where the kernel ran: ref if a cpu kernel fell back
  DType dtype;
  std::span<const Operand> operands;
  // The same operands after ref has run the call in double. A floating operand has a copy in f64;
  // any other stands here itself. Empty unless wants_reference().
  std::span<const View> reference;
};

class REPRISE_API KernelProbe {
 public:
  virtual ~KernelProbe();
  virtual bool wants_reference() const { return false; }
  // Called after every kernel, in the thread that called the kernel: several threads may call at
  // once. May throw Error, which ends the op that called the kernel.
  virtual void after(const KernelCall& call) = 0;
};

// Shows every further kernel call of this process to `probe`, which must live until it is replaced.
// nullptr: no probe, and no cost. Returns the former probe.
REPRISE_API KernelProbe* set_kernel_probe(KernelProbe* probe);

// Sets the probe while an instance lives, then restores the former one.
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
