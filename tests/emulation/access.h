// Access to the memory of the emulated devices.
#pragma once

namespace reprise::emulation {

// While one lives, device memory is readable and writable, and sealed memory readable.
// Objects may nest.
class DeviceAccess {
 public:
  DeviceAccess();
  ~DeviceAccess();
  DeviceAccess(const DeviceAccess&) = delete;
  DeviceAccess& operator=(const DeviceAccess&) = delete;
};

}  // namespace reprise::emulation
