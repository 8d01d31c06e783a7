#include "engine/kernels/cpu/conv/bf16_order.h"

#include <atomic>

#include "engine/base/check.h"
#include "engine/base/env.h"
#include "engine/kernels/cpu/base/isa.h"

namespace reprise::kernels::cpu {
namespace {

Bf16Order standard() {
  const std::string order = env_string("REPRISE_BF16_ORDER");
  if (order.empty()) return cpu_isa() == Isa::amx ? Bf16Order::blocks : Bf16Order::pairs;
  REPRISE_CHECK(order == "pairs" || order == "blocks",
                "REPRISE_BF16_ORDER: expected pairs or blocks, got '{}'", order);
  return order == "pairs" ? Bf16Order::pairs : Bf16Order::blocks;
}

std::atomic<Bf16Order>& chosen() {
  static std::atomic<Bf16Order> order = standard();
  return order;
}

}  // namespace

Bf16Order bf16_order() {
  return chosen();
}
void set_bf16_order(Bf16Order order) {
  chosen() = order;
}
std::string_view name_of(Bf16Order order) {
  return order == Bf16Order::pairs ? "pairs" : "blocks";
}

}  // namespace reprise::kernels::cpu
