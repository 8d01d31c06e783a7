#include "engine/core/storage.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "engine/core/tensor.h"
#include "tests/engine/expect_error.h"

namespace reprise {
namespace {

using testing::expect_error;

std::size_t held() {
  const MemoryStats stats = memory_stats();
  return stats.in_use + stats.cached;
}
const std::byte* begin_of(const Tensor& t) {
  return static_cast<const std::byte*>(t.view().ptr);
}
constexpr std::int64_t mib = 1 << 20;
Tensor bytes(std::int64_t n) {
  return empty({n}, DType::u8);
}

TEST(Pool, KeepsFreedBlocks) {
  const Tensor keep = empty({12345});
  const void* first = empty({54321}).view().ptr;
  const Tensor again = empty({54321});
  EXPECT_EQ(again.view().ptr, first);
  const MemoryStats before = memory_stats();
  const Tensor other = empty({54321});
  EXPECT_GE(memory_stats().in_use, before.in_use + 4 * 54321);
  EXPECT_NE(other.view().ptr, first);
}

TEST(Pool, TensorsOfNearlyOneSizeShareABlock) {
  struct Sizes {
    std::int64_t size, block, larger, larger_block;
  };
  for (const Sizes& s : {Sizes{1, 64, 65, 128}, Sizes{1000, 1024, 1025, 1088}, Sizes{5000, 8192, 8193, 12288},
                         Sizes{65000, 65536, 65537, 69632}}) {
    SCOPED_TRACE(s.size);
    release_cached_memory();
    const std::size_t before = held();
    for (const std::int64_t n : {s.size, s.block, s.size}) bytes(n);
    const std::size_t one = held();
    EXPECT_EQ(one - before, static_cast<std::size_t>(s.block));
    bytes(s.larger);
    EXPECT_EQ(held() - one, static_cast<std::size_t>(s.larger_block)) << "the other block is kept";
  }
}

TEST(Pool, LargeBlocksBeginAtAHugePage) {
  for (const std::int64_t n : {2 * mib, 3 * mib}) {
    release_cached_memory();
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(begin_of(bytes(n))) % (2 * mib), 0u);
  }
}

TEST(Pool, CountsAndReleases) {
  release_cached_memory();
  EXPECT_EQ(memory_stats().cached, 0u);
  const std::size_t in_use = memory_stats().in_use;
  reset_peak_memory();
  EXPECT_EQ(memory_stats().peak, in_use);
  { const Tensor t = empty({1 << 20}), small = bytes(7); }
  EXPECT_EQ(memory_stats().in_use, in_use);
  EXPECT_GE(memory_stats().peak, in_use + (std::size_t{4} << 20));
  EXPECT_GE(memory_stats().cached, std::size_t{4} << 20);
  release_cached_memory();
  EXPECT_EQ(memory_stats().cached, 0u);
}

TEST(Pool, SmallerTensorsShareALargerOnesMemory) {
  release_cached_memory();
  const std::byte* begin = begin_of(bytes(16 * mib));
  const std::size_t before = held();
  const Tensor a = bytes(4 * mib), b = bytes(8 * mib), c = bytes(4 * mib);
  EXPECT_EQ(begin_of(a), begin);
  EXPECT_EQ(begin_of(b), begin + 4 * mib);
  EXPECT_EQ(begin_of(c), begin + 12 * mib);
  EXPECT_EQ(held(), before);
  const Tensor d = bytes(3 * mib);
  EXPECT_EQ(held(), before + 4 * mib) << "a segment of its own, of huge pages";
}

TEST(Pool, ARemainderOf64KiBIsAPieceOfItsOwn) {
  for (const std::int64_t rest : {65536, 65536 - 4096}) {
    release_cached_memory();
    const std::byte* begin = begin_of(bytes(4 * mib));
    const Tensor large = bytes(4 * mib - rest), small = bytes(rest);
    EXPECT_EQ(begin_of(large), begin);
    EXPECT_EQ(begin_of(small) == begin + 4 * mib - rest, rest == 65536);
  }
}

TEST(Pool, AFreedRemainderDoesNotTakeItsNeighbourAlong) {
  release_cached_memory();
  const Tensor large = bytes(3 * mib);  // of a segment of 4 MiB
  Tensor rest = bytes(mib);
  EXPECT_EQ(begin_of(rest), begin_of(large) + 3 * mib);
  const std::size_t before = held();
  rest = Tensor();
  EXPECT_EQ(held(), before);
  EXPECT_NE(begin_of(bytes(4 * mib)), begin_of(large));
}

TEST(Pool, FreeNeighboursGrowTogether) {
  std::vector<std::size_t> order = {0, 1, 2};
  do {
    release_cached_memory();
    const std::byte* begin = begin_of(bytes(12 * mib));
    const std::size_t before = held();
    std::vector<Tensor> parts;
    for (int i = 0; i < 3; ++i) parts.push_back(bytes(4 * mib));
    for (const std::size_t i : order) parts[i] = Tensor();
    const Tensor whole = bytes(12 * mib);
    EXPECT_EQ(begin_of(whole), begin);
    EXPECT_EQ(held(), before);
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(Pool, ReleasesWhatIsWhole) {
  release_cached_memory();
  const std::size_t before = held();
  { const Tensor whole = bytes(16 * mib), other = bytes(6 * mib); }
  Tensor part = bytes(7 * mib);
  release_cached_memory();
  EXPECT_EQ(held(), before + 16 * mib) << "a part of the segment is in use";
  part = Tensor();
  release_cached_memory();
  EXPECT_EQ(held(), before);
}

// Tensors of many sizes are made and freed; each keeps its own bytes while it lives.
TEST(Pool, GivesNoByteTwice) {
  release_cached_memory();
  std::mt19937 random(7);
  std::vector<Tensor> live(24);
  std::uint8_t label = 0;
  for (int i = 0; i < 2000; ++i) {
    Tensor& t = live[random() % live.size()];
    if (t.defined()) {
      const auto values = t.values<std::uint8_t>();
      ASSERT_EQ(std::count(values.begin(), values.end(), values.front()),
                static_cast<std::ptrdiff_t>(values.size()));
    }
    t = Tensor();
    if (random() % 3 == 0) continue;
    t = bytes(1 + static_cast<std::int64_t>(random() % (std::uint32_t{1} << (8 + random() % 13))));
    std::memset(t.mutable_data<std::uint8_t>(), ++label, t.bytes());
  }
}

TEST(Pool, RepeatedStepsNeedNothingNew) {
  release_cached_memory();
  const auto step = [] {
    std::mt19937 random(11);
    std::vector<Tensor> saved;
    for (int i = 0; i < 40; ++i) {
      const Tensor passing = bytes(static_cast<std::int64_t>(random() % (3 * mib)));
      saved.push_back(bytes(static_cast<std::int64_t>(random() % (2 * mib))));
    }
    while (!saved.empty()) {
      const Tensor gradient = bytes(saved.back().numel());
      saved.pop_back();
    }
  };
  for (int i = 0; i < 3; ++i) step();
  const std::size_t after = held();
  for (int i = 0; i < 5; ++i) step();
  EXPECT_EQ(held(), after);
}

TEST(Pool, SaysHowMuchWasMissing) {
  expect_error([] { empty({std::int64_t{1} << 58}); }, "memory: could not get",
               "a smaller batch or smaller images need less");
}

class DebugMemory : public ::testing::Test {
 protected:
  void SetUp() override { set_memory_debug(true); }
  void TearDown() override { set_memory_debug(false); }
};

TEST_F(DebugMemory, FillsWithNaN) {
  const Tensor f = empty({100}), d = empty({100}, DType::f64);
  for (const float v : f.values<float>()) EXPECT_TRUE(std::isnan(v));
  for (const double v : d.values<double>()) EXPECT_TRUE(std::isnan(v));
}

TEST_F(DebugMemory, FindsAPlantedOverrun) {
  const std::int64_t before = guard_violations();
  { const Tensor t = zeros({7}); }
  EXPECT_EQ(guard_violations(), before);
  {
    Tensor t = zeros({7});
    volatile float* end = t.mutable_data<float>() + 7;
    *end = 1;
  }
  EXPECT_EQ(guard_violations(), before + 1);
  {
    Tensor t = zeros({7});
    volatile float* front = t.mutable_data<float>() - 1;
    *front = 1;
  }
  EXPECT_EQ(guard_violations(), before + 2);
}

// 64 bytes fill their aligned block: one fence is next to them, the other one less than a page before.
TEST_F(DebugMemory, ReadingPastAFenceEndsTheProcess) {
  const Tensor t = zeros({16});
  const volatile float* p = t.data<float>();
  EXPECT_EQ(p[15], 0);
  EXPECT_TRUE(std::isnan(p[-1]));
  EXPECT_DEATH({ [[maybe_unused]] const float after = p[16]; }, "");
  const std::int64_t page = sysconf(_SC_PAGESIZE) / 4;
  EXPECT_DEATH({ [[maybe_unused]] const float before = p[-page]; }, "");
}

TEST_F(DebugMemory, ABlockMayOutliveTheMode) {
  const std::int64_t before = guard_violations();
  {
    const Tensor t = zeros({9});
    set_memory_debug(false);
  }
  EXPECT_EQ(guard_violations(), before);
}

TEST(Sealed, CannotBeWritten) {
  Tensor t = tensor({2, 2}, {1, 2, 3, 4}).sealed_copy();
  EXPECT_TRUE(t.is_sealed());
  EXPECT_EQ(t.values<float>()[3], 4);
  expect_error([&] { t.mutable_data<float>(); }, "sealed");
  expect_error([&] { t.rows(0, 1).mut_view(); }, "sealed");
  expect_error([&] { copy_into(t, zeros({2, 2})); }, "sealed");
  EXPECT_FALSE(t.clone().is_sealed());
  EXPECT_TRUE(t.rows(0, 1).is_sealed());
  EXPECT_EQ(t.view().sealed, t.storage().get());
  EXPECT_EQ(t.rows(0, 1).view().sealed, nullptr) << "a part has no derived forms";
}

TEST(SealedDeathTest, AWriteThroughARawPointerEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const Tensor t = tensor({2}, {1, 2}).sealed_copy();
  EXPECT_DEATH(*const_cast<volatile float*>(t.data<float>()) = 5, "");
  EXPECT_EQ(t.data<float>()[0], 1);
}
TEST(SealedDeathTest, SoDoesAWriteToADerivedForm) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const Tensor t = tensor({2}, {1, 2}).sealed_copy();
  const std::byte* form = t.storage()->derived("copy", 8, [](std::byte* p) { std::memset(p, 3, 8); });
  EXPECT_DEATH(*const_cast<volatile std::byte*>(form) = std::byte{5}, "");
}

TEST(Sealed, DerivedFormsAreMadeOnce) {
  const Tensor t = tensor({2}, {1, 2}).sealed_copy();
  int made = 0;
  const auto fill = [&](std::byte* p) {
    ++made;
    std::memset(p, 7, 100);
  };
  const std::byte* form = t.storage()->derived("packed", 100, fill);
  EXPECT_EQ(t.storage()->derived("packed", 100, fill), form);
  EXPECT_EQ(made, 1);
  EXPECT_EQ(form[99], std::byte{7});
  EXPECT_EQ(t.storage()->derived_bytes(), 100u);
  EXPECT_NO_THROW(t.storage()->verify_seal());
  EXPECT_THROW(zeros({2}).storage()->derived("packed", 8, fill), InternalError);
}

TEST(Sealed, MemoryGoesBackToTheSystem) {
  void* at = nullptr;
  unsigned char resident = 0;
  {
    const Tensor t = zeros({5 * mib}, DType::u8).sealed_copy();
    at = const_cast<std::byte*>(t.storage()->data());
    EXPECT_EQ(mincore(at, 1, &resident), 0);
  }
  EXPECT_EQ(mincore(at, 1, &resident), -1) << "it is still mapped";
}

// Flips a bit of sealed memory, and flips it back at the end of its life.
class Tampered {
 public:
  Tampered(const std::byte* at) : at_(const_cast<std::byte*>(at)) { flip(); }
  ~Tampered() { flip(); }

 private:
  void flip() {
    const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    void* start = reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(at_) / page * page);
    ASSERT_EQ(mprotect(start, page, PROT_READ | PROT_WRITE), 0);
    *at_ ^= std::byte{1};
    ASSERT_EQ(mprotect(start, page, PROT_READ), 0);
  }
  std::byte* at_;
};

TEST(Sealed, AChangeIsFound) {
  const Tensor t = tensor({2}, {1, 2}).sealed_copy();
  const std::byte* form = t.storage()->derived("packed", 8, [](std::byte* p) { std::memset(p, 3, 8); });
  EXPECT_NO_THROW(t.storage()->verify_seal());
  {
    const Tampered weights(t.storage()->data() + 5);
    expect_error([&] { t.storage()->verify_seal(); }, "frozen weights have changed since they were loaded");
  }
  {
    const Tampered packed(form);
    expect_error([&] { t.storage()->verify_seal(); }, "derived form 'packed'");
  }
  EXPECT_NO_THROW(t.storage()->verify_seal());
}

}  // namespace
}  // namespace reprise
