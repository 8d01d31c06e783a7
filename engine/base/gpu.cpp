#include "engine/base/gpu.h"

#include <atomic>

#include "engine/base/env.h"

namespace reprise::gpu {
namespace {

std::atomic<bool> asked{false};

}  // namespace

void set_tf32(bool on) {
  asked = on;
}
bool tf32() {
  static const bool by_environment = env_flag("REPRISE_TF32");
  return by_environment || asked;
}

}  // namespace reprise::gpu
