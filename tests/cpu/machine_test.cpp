// What the cpu backend finds out about its machine, and what the environment chooses.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <initializer_list>
#include <string>

#include "engine/base/error.h"
#include "engine/kernels/cpu/base/isa.h"
#include "engine/kernels/cpu/base/non_temporal.h"
#include "engine/kernels/cpu/base/scratch.h"
#include "engine/kernels/cpu/conv/bf16_order.h"
#include "tests/engine/exit_with.h"

namespace reprise::kernels::cpu {
namespace {

using testing::exit_with;

#if defined(__x86_64__) && defined(__linux__)
// Returns the best instruction set by the flags that Linux lists for the first processor.
Isa best_isa() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line) && !line.starts_with("flags")) {
  }
  const auto has = [&](std::initializer_list<const char*> flags) {
    for (const char* flag : flags)
      if ((line + " ").find(" " + std::string(flag) + " ") == std::string::npos) return false;
    return true;
  };
  if (!has({"avx2", "fma"})) return Isa::portable;
  if (!has({"avx512f", "avx512bw", "avx512dq", "avx512vl"})) return Isa::avx2;
  if (!has({"avx512_bf16", "avx512vbmi"})) return Isa::avx512;
  return has({"amx_bf16", "amx_tile"}) ? Isa::amx : Isa::avx512bf16;
}

TEST(MachineDeathTest, TheBestInstructionSetRunsUnlessASmallerOneIsWanted) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const Isa best = best_isa();
  for (const Isa cap : {Isa::portable, Isa::avx2, Isa::avx512, Isa::avx512bf16, Isa::amx}) {
    const std::string name(name_of(cap));
    const Isa wanted = std::min(cap, best);
    const auto runs = [=] {  // Linux may keep AMX from a process
      return cpu_isa() == wanted || (wanted == Isa::amx && cpu_isa() == Isa::avx512bf16);
    };
    EXPECT_EXIT(exit_with("REPRISE_CPU_ISA", name.c_str(), runs), ::testing::ExitedWithCode(0), "")
        << name << ", of " << name_of(best);
  }
  EXPECT_EXIT(exit_with("REPRISE_CPU_ISA", "sse9", [] { return cpu_isa() == Isa::portable; }),
              ::testing::ExitedWithCode(2), "expected portable, avx2, avx512, avx512bf16 or amx, got 'sse9'");
}
#endif

TEST(MachineDeathTest, BlocksAreTheOrderOfAMXAndOfThoseWhoAskForIt) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto is = [](const char* name) { return [=] { return name_of(bf16_order()) == name; }; };
  const char* standard = cpu_isa() == Isa::amx ? "blocks" : "pairs";
  EXPECT_EXIT(exit_with("REPRISE_BF16_ORDER", "", is(standard)), ::testing::ExitedWithCode(0), "");
  for (const char* order : {"pairs", "blocks"})
    EXPECT_EXIT(exit_with("REPRISE_BF16_ORDER", order, is(order)), ::testing::ExitedWithCode(0), "") << order;
  EXPECT_EQ(name_of(Bf16Order::pairs), "pairs");
  EXPECT_EXIT(exit_with("REPRISE_BF16_ORDER", "pair", is("pairs")), ::testing::ExitedWithCode(2),
              "expected pairs or blocks, got 'pair'");
}

TEST(Machine, NonTemporalStoresAreForLargeOutputsOfWholeCacheLines) {
  alignas(64) const float at[17] = {};
  constexpr std::int64_t least = non_temporal_bytes;
  EXPECT_TRUE(is_non_temporal(at, least, 64));
  EXPECT_TRUE(is_non_temporal(at, least, 128));
  EXPECT_FALSE(is_non_temporal(at, least - 64, 64));
  EXPECT_FALSE(is_non_temporal(at, least, 96));
  EXPECT_FALSE(is_non_temporal(at + 1, least, 64));
  EXPECT_TRUE(is_non_temporal(at + 16, least, 64));
}

// Two pages of 16-bit elements and one element; then a little more, and much more.
TEST(Machine, ScratchHoldsWhatWasAskedFor) {
  std::size_t count = 4096 + 1;
  for (const std::size_t more : {0, 2, 100'000}) {
    count += more;
    auto* p = scratch_of<std::uint16_t>(Scratch::order, count);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(p) % 64, 0u);
    for (std::size_t i = 0; i < count; ++i) p[i] = static_cast<std::uint16_t>(i);
    EXPECT_EQ(scratch_of<std::uint16_t>(Scratch::order, 1), p) << "it is kept";
  }
  EXPECT_THROW(scratch(Scratch::order, std::size_t{1} << 58), Error);
  float* again = scratch(Scratch::order, 2);
  ASSERT_NE(again, nullptr);
  again[1] = 1;
}

}  // namespace
}  // namespace reprise::kernels::cpu
