// Devices: where a tensor lies and which kernels compute on it. There is no global device.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/export.h"

namespace reprise {

// ref: plain loops that define every op.  cpu: fast kernels, also on host memory.  cuda: a GPU.
struct Device {
  enum class Kind : std::uint8_t { ref, cpu, cuda };
  Kind kind = Kind::cpu;
  int index = 0;  // which GPU; 0 for ref and cpu

  bool operator==(const Device&) const = default;
  bool is_host() const { return kind != Kind::cuda; }  // whether the memory is the host's
};
inline constexpr int device_kind_count = 3;

inline constexpr Device ref_device{Device::Kind::ref, 0};
inline constexpr Device cpu_device{Device::Kind::cpu, 0};

// Parses "ref", "cpu", "cuda" or "cuda:N" (GPU N, which need not exist); else throws Error.
REPRISE_API Device parse_device(std::string_view text);
REPRISE_API std::string to_string(Device device);         // "ref", "cpu", "cuda:0"
REPRISE_API std::string_view name_of(Device::Kind kind);  // "ref", "cpu", "cuda"

}  // namespace reprise
