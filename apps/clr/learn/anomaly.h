// The anomaly mode: a computation stops at the first value that is not finite, where it arose.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "engine/kernels/probe.h"
#include "layers/network.h"

namespace reprise::clr {

// While it lives, reads every kernel's floating outputs. The first infinity or NaN is an Error that names the
// kernel, the element, the range of every operand, and the layer (in backward too), task and step.
class AnomalyWatch : public KernelProbe {
 public:
  // Of the network's own tensors (on the host) the message says the names. `ranges`: keep read() too, slower.
  explicit AnomalyWatch(layers::Network& network, bool ranges = false);
  ~AnomalyWatch() override;
  AnomalyWatch(const AnomalyWatch&) = delete;
  AnomalyWatch& operator=(const AnomalyWatch&) = delete;
  void after(const KernelCall& call) override;

  // What was read so far, by kernel.
  struct Read {
    std::int64_t calls = 0, values = 0;
    double min = 0, max = 0;  // of all its outputs
  };
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
