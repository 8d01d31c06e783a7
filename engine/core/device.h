// Where a tensor lives and which kernels run on it. A property of each tensor, never a global.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/export.h"

namespace reprise {

// ref: plain loops that define every op; cpu: fast kernels on the same memory; cuda: a GPU.
struct Device {
  enum class Kind : std::uint8_t { ref, cpu, cuda };
  Kind kind = Kind::cpu;
  int index = 0;

  bool operator==(const Device&) const = default;
  bool is_host() const { return kind != Kind::cuda; }
};
inline constexpr int device_kind_count = 3;

inline constexpr Device ref_device{Device::Kind::ref, 0};
inline constexpr Device cpu_device{Device::Kind::cpu, 0};

// "ref", "cpu", "cuda" or "cuda:1"; throws Error on anything else.
REPRISE_API Device parse_device(std::string_view text);
REPRISE_API std::string to_string(Device device);
REPRISE_API std::string_view name_of(Device::Kind kind);

}  // namespace reprise
