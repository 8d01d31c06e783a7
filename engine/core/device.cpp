#include "engine/core/device.h"

#include <charconv>

#include "engine/base/check.h"

namespace reprise {

Device parse_device(std::string_view text) {
  if (text == "ref") return ref_device;
  if (text == "cpu") return cpu_device;
  if (text == "cuda") return {Device::Kind::cuda, 0};
  if (text.starts_with("cuda:")) {
    int index = -1;
    const auto [end, ec] = std::from_chars(text.data() + 5, text.data() + text.size(), index);
    if (ec == std::errc{} && end == text.data() + text.size() && index >= 0)
      return {Device::Kind::cuda, index};
  }
  throw_error("device: expected ref, cpu, cuda or cuda:N, got '{}'", text);
}

std::string_view name_of(Device::Kind kind) {
  switch (kind) {
    case Device::Kind::ref:
      return "ref";
    case Device::Kind::cpu:
      return "cpu";
    case Device::Kind::cuda:
      return "cuda";
  }
  return "?";
}

std::string to_string(Device device) {
  if (device.kind == Device::Kind::cuda) return fmt::format("cuda:{}", device.index);
  return std::string(name_of(device.kind));
}

}  // namespace reprise
