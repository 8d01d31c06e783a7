#include "engine/base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/base/error.h"

namespace reprise {
namespace {

// The known answers published with the generator (Random123, philox4x32-10).
TEST(Random, PhiloxKnownAnswers) {
  using Words = std::array<std::uint32_t, 4>;
  constexpr std::uint32_t all = 0xffffffff;
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({all, all, all, all}, {all, all}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

// Computed independently: SHA-256 of "27/shuffle" gives the key, index 3 the counter's upper half.
TEST(Random, AStreamIsWhatItsNameSays) {
  RandomStream stream(27, "shuffle", 3);
  for (const std::uint32_t word : {0xd0136f55u, 0xf3ca3eecu, 0xed6e4153u, 0xbe88bc29u, 0x6325241cu,
                                   0xa06026a3u, 0xf8478ad3u, 0xe216ef7bu})
    EXPECT_EQ(stream.bits(), word);
  EXPECT_EQ(RandomStream(27, "shuffle", 3).uniform(), 0x1.a026debcf28fbp-1);
}

std::vector<std::uint32_t> first_words(std::uint64_t seed, std::string_view purpose, std::uint64_t index) {
  RandomStream stream(seed, purpose, index);
  std::vector<std::uint32_t> words;
  for (int i = 0; i < 100; ++i) words.push_back(stream.bits());
  return words;
}

TEST(Random, StreamsAreIndependent) {
  const auto base = first_words(1, "init", 0);
  EXPECT_EQ(first_words(1, "init", 0), base);
  for (const auto& other :
       {first_words(2, "init", 0), first_words(1, "shuffle", 0), first_words(1, "init", 1)}) {
    int equal = 0;
    for (std::size_t i = 0; i < base.size(); ++i) equal += base[i] == other[i];
    EXPECT_EQ(equal, 0);
  }
}

TEST(Random, UniformsAndNormalsHaveTheirMoments) {
  RandomStream stream(5, "moments");
  constexpr int n = 100000;
  double mean = 0, low = 1, high = 0, normal_mean = 0, square = 0;
  for (int i = 0; i < n; ++i) {
    const double u = stream.uniform(), z = stream.normal();
    mean += u / n;
    low = std::min(low, u);
    high = std::max(high, u);
    normal_mean += z / n;
    square += z * z / n;
  }
  EXPECT_NEAR(mean, 0.5, 0.005);  // five standard errors
  EXPECT_GE(low, 0);
  EXPECT_LT(high, 1);
  EXPECT_NEAR(normal_mean, 0, 0.016);
  EXPECT_NEAR(square, 1, 0.023);
}

TEST(Random, BelowIsEven) {
  RandomStream stream(5, "below");
  std::array<int, 7> counts{};
  for (int i = 0; i < 70000; ++i) ++counts[stream.below(7)];
  for (const int c : counts) EXPECT_NEAR(c, 10000, 500);
  EXPECT_EQ(stream.below(1), 0u);
  EXPECT_THROW(stream.below(0), InternalError);
}

// Of the 2^64 numbers of 64 bits, the first (2^64 mod n) are one too many for an even share: only those are
// sampled again.
TEST(Random, BelowRejectsNoMoreThanItMust) {
  RandomStream bits(4, "below");
  const std::uint64_t high = bits.bits(), first = high << 32 | bits.bits();
  ASSERT_LT(first, std::uint64_t{1} << 63);  // then 2^64 mod (2^64 - first) is `first`
  EXPECT_EQ(RandomStream(4, "below").below(0 - first), first);
  EXPECT_NE(RandomStream(4, "below").below(0 - first - 1), first);
}

TEST(Random, PermutationsHoldEachNumberOnce) {
  auto p = RandomStream(5, "permutation").permutation(1000);
  EXPECT_FALSE(std::is_sorted(p.begin(), p.end()));
  EXPECT_EQ(RandomStream(5, "permutation").permutation(1000), p);
  std::sort(p.begin(), p.end());
  for (std::size_t i = 0; i < p.size(); ++i) EXPECT_EQ(p[i], static_cast<std::int64_t>(i));
  EXPECT_TRUE(RandomStream(5, "permutation").permutation(0).empty());
}

}  // namespace
}  // namespace reprise
