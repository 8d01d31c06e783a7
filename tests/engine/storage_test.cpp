#include "engine/core/storage.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstring>

#include "engine/core/tensor.h"
#include "tests/engine/expect_error.h"

// Under a sanitizer an impossible allocation shall fail as it does without one.
extern "C" __attribute__((visibility("default"))) const char* __asan_default_options() {
  return "allocator_may_return_null=1";
}
extern "C" __attribute__((visibility("default"))) const char* __tsan_default_options() {
  return "allocator_may_return_null=1";
}

namespace reprise {
namespace {

using testing::expect_error;

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

TEST(Pool, CountsAndReleases) {
  release_cached_memory();
  EXPECT_EQ(memory_stats().cached, 0u);
  const std::size_t in_use = memory_stats().in_use;
  reset_peak_memory();
  EXPECT_EQ(memory_stats().peak, in_use);
  { const Tensor t = empty({1 << 20}); }
  EXPECT_EQ(memory_stats().in_use, in_use);
  EXPECT_GE(memory_stats().peak, in_use + (std::size_t{4} << 20));
  EXPECT_GE(memory_stats().cached, std::size_t{4} << 20);
  release_cached_memory();
  EXPECT_EQ(memory_stats().cached, 0u);
}

TEST(Pool, SaysHowMuchWasMissing) {
  expect_error([] { empty({std::int64_t{1} << 58}); }, "memory: could not get");
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

// Flips a bit behind the seal's back while it lives.
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
    expect_error([&] { t.storage()->verify_seal(); }, "frozen weights are no longer what was loaded");
  }
  {
    const Tampered packed(form);
    expect_error([&] { t.storage()->verify_seal(); }, "derived form 'packed'");
  }
  EXPECT_NO_THROW(t.storage()->verify_seal());
}

}  // namespace
}  // namespace reprise
