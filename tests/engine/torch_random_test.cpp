// PyTorch's generator, compared with tests/golden/rng.
#include "engine/base/torch_random.h"

#include <gtest/gtest.h>

#include <bit>
#include <fstream>
#include <sstream>

#include "engine/base/error.h"
#include "engine/base/sha256.h"

namespace reprise {
namespace {

// Returns the lines of one kind. Each begins with a seed and a count.
struct Line {
  std::uint64_t seed = 0;
  std::int64_t n = 0;
  std::istringstream rest;
};

std::vector<Line> golden_lines(const std::string& kind) {
  std::ifstream in(std::string(REPRISE_SOURCE_DIR) + "/tests/golden/rng/generator.txt");
  std::vector<Line> lines;
  for (std::string text; std::getline(in, text);) {
    Line line;
    line.rest.str(text);
    std::string word;
    line.rest >> word >> line.seed >> line.n;
    if (word == kind) lines.push_back(std::move(line));
  }
  return lines;
}

template <class T>
T next(Line& line) {
  T value{};
  EXPECT_TRUE(line.rest >> value);
  return value;
}

template <class T>
std::string hashed(const std::vector<T>& values) {
  return sha256_hex(std::as_bytes(std::span(values)));
}

TEST(TorchRandom, UniformNumbersHavePyTorchsBits) {
  std::vector<Line> lines = golden_lines("uniform");
  ASSERT_EQ(lines.size(), 150U);
  for (Line& line : lines) {
    SCOPED_TRACE(line.rest.str().substr(0, 60));
    const auto low = next<double>(line), high = next<double>(line);
    TorchGenerator g(line.seed);
    std::vector<float> values(static_cast<std::size_t>(line.n));
    g.uniform(values, low, high);
    EXPECT_EQ(g.random_seed(), next<std::uint64_t>(line));
    if (line.n >= 100) {
      EXPECT_EQ(hashed(values), next<std::string>(line));
      continue;
    }
    for (const float v : values) {
      std::uint32_t word = 0;
      line.rest >> std::hex >> word;
      EXPECT_EQ(std::bit_cast<std::uint32_t>(v), word);
    }
  }
}

TEST(TorchRandom, NormalNumbersTakeAsManyDrawsAndDifferByRounding) {
  std::vector<Line> lines = golden_lines("normal");
  ASSERT_EQ(lines.size(), 45U);
  for (Line& line : lines) {
    SCOPED_TRACE(line.rest.str().substr(0, 60));
    TorchGenerator g(line.seed), counted(line.seed);
    std::vector<float> values(static_cast<std::size_t>(line.n));
    float one = 0;
    g.normal(values, 0.5, 2);
    g.normal({&one, 1}, 0, 1);
    values.push_back(one);
    counted.discard_normal(line.n);
    counted.discard_normal(1);
    EXPECT_EQ(counted, g);
    EXPECT_EQ(g.random_seed(), next<std::uint64_t>(line));
    for (const float v : values) EXPECT_NEAR(v, next<float>(line), 4e-6F);
  }
}

TEST(TorchRandom, PermutationsAreEqual) {
  std::vector<Line> lines = golden_lines("permutation");
  ASSERT_EQ(lines.size(), 35U);
  for (Line& line : lines) {
    SCOPED_TRACE(line.rest.str().substr(0, 60));
    TorchGenerator g(line.seed);
    const std::vector<std::int64_t> order = g.permutation(line.n);
    ASSERT_EQ(order.size(), static_cast<std::size_t>(line.n));
    EXPECT_EQ(g.random_seed(), next<std::uint64_t>(line));
    if (line.n >= 100)
      EXPECT_EQ(hashed(order), next<std::string>(line));
    else
      for (const std::int64_t i : order) EXPECT_EQ(i, next<std::int64_t>(line));
  }
  EXPECT_TRUE(TorchGenerator(1).permutation(0).empty());
  for (const std::int64_t outside : {std::int64_t{-1}, std::int64_t{0xFFFFFFFF} / 20, std::int64_t{1} << 32})
    EXPECT_THROW(TorchGenerator(1).permutation(outside), Error) << outside;
}

TEST(TorchRandom, AStateGoesOnWhereItWasTaken) {
  for (const int small : {0, 1}) {  // an odd number of normal samples leaves one over
    TorchGenerator g(27);
    g.discard(700);
    g.discard_normal(small);
    TorchGenerator again = TorchGenerator::from_state(g.state());
    EXPECT_EQ(again, g);
    std::vector<float> a(5), b(5);
    g.normal(a, 0, 1);
    again.normal(b, 0, 1);
    EXPECT_EQ(a, b);
    EXPECT_EQ(g.bits64(), again.bits64());
  }
  const std::string whole = TorchGenerator(5).state();
  for (const std::string& damaged : {std::string(), std::string("1 2 3"), whole.substr(0, 300),
                                     whole + " what", whole + " normal x", whole + " normal 5 6"})
    EXPECT_THROW(TorchGenerator::from_state(damaged), Error) << damaged.size();
}

}  // namespace
}  // namespace reprise
