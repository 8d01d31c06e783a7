// The anomaly mode: stops a computation in the kernel that
// writes the first value that is not finite.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "engine/kernels/probe.h"
#include "layers/network.h"

namespace reprise::clr {

// Reads every kernel's floating-point outputs while it lives. At the first infinity or NaN it
// throws an Error that names the kernel, the element, the range of every operand, the layer (in
// backward too), the task and the step.
class AnomalyWatch : public KernelProbe {
 public:
  // Remembers the names of the network's tensors on the host, for the message.
  // With `ranges`, read() also counts values and their range, which is slower.
  explicit AnomalyWatch(layers::Network& network, bool ranges = false);
  ~AnomalyWatch() override;
  AnomalyWatch(const AnomalyWatch&) = delete;
  AnomalyWatch& operator=(const AnomalyWatch&) = delete;
  void after(const KernelCall& call) override;

  // What was read of one kernel's outputs so far. All but `calls` stays 0 without `ranges`.
  struct Read {
    std::int64_t calls = 0, values = 0;
    double min = 0, max = 0;
  };
  // Returns what was read, by the kernel's name.
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
