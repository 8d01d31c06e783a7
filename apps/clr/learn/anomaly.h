// The anomaly mode: stops a computation in the kernel that
// writes the first value that is not finite.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "engine/kernels/probe.h"
#include "layers/network.h"

namespace reprise::clr {

// Reads every kernel's floating-point outputs while it lives, in place of an earlier KernelProbe.
// At the first infinity or NaN it throws an Error that names the kernel, the element, the range of
// every operand, the layer (of a backward kernel too), the task and the step.
class AnomalyWatch : public KernelProbe {
 public:
  // Remembers, for the message, the names of those network tensors that lie on the host.
  // With `ranges`, read() also counts the values and returns their range, which is slower.
  explicit AnomalyWatch(layers::Network& network, bool ranges = false);
  ~AnomalyWatch() override;
  AnomalyWatch(const AnomalyWatch&) = delete;
  AnomalyWatch& operator=(const AnomalyWatch&) = delete;
  void after(const KernelCall& call) override;

  // One kernel's calls and outputs so far. Without `ranges` only `calls` is counted.
  struct Read {
    std::int64_t calls = 0, values = 0;
    double min = 0, max = 0;
  };
  // Returns the counts so far, by the kernel's name.
  const std::map<std::string, Read>& read() const { return read_; }

 private:
  std::string operand_line(const KernelCall::Operand& operand) const;
  [[noreturn]] void report(const KernelCall& call, std::size_t output, std::int64_t element,
                           std::int64_t bad) const;
  std::map<const void*, std::string> names_;
  std::map<std::string, Read> read_;
  bool ranges_;
  KernelProbe* before_;
};

}  // namespace reprise::clr
