#include "engine/base/torch_random.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <locale>
#include <numbers>
#include <numeric>
#include <sstream>

#include "engine/base/check.h"

namespace reprise {
namespace {

constexpr std::size_t normal_block = 16;  // PyTorch samples normal numbers in blocks of this size

float unit(std::uint32_t bits) {
  return static_cast<float>(bits & 0xFFFFFF) * 0x1p-24F;
}

// Turns uniform numbers into normal ones: the first half gives radii, the second half angles.
void box_muller(std::span<float, normal_block> v, double mean, double deviation) {
  for (std::size_t i = 0; i < normal_block / 2; ++i) {
    const double radius = std::sqrt(-2 * std::log(1 - static_cast<double>(v[i])));
    const double angle = 2 * std::numbers::pi * static_cast<double>(v[i + normal_block / 2]);
    v[i] = static_cast<float>(radius * std::cos(angle) * deviation + mean);
    v[i + normal_block / 2] = static_cast<float>(radius * std::sin(angle) * deviation + mean);
  }
}

}  // namespace

TorchGenerator::TorchGenerator(std::uint64_t seed) : engine_(static_cast<std::uint32_t>(seed)) {}

std::uint64_t TorchGenerator::bits64() {
  const std::uint64_t high = bits();
  return high << 32 | bits();
}

void TorchGenerator::uniform(std::span<float> values, double low, double high) {
  const auto from = static_cast<float>(low);
  const float width = static_cast<float>(high) - from;
  for (float& v : values) v = std::fma(unit(bits()), width, from);
}

// Samples one of fewer than 16 numbers: in double, in pairs.
double TorchGenerator::small_normal() {
  if (second_normal_) {
    const double left_over = *second_normal_;
    second_normal_.reset();
    return left_over;
  }
  constexpr std::uint64_t mask = (std::uint64_t{1} << 53) - 1;
  const double angle = 2 * std::numbers::pi * static_cast<double>(bits64() & mask) * 0x1p-53;
  const double radius = std::sqrt(-2 * std::log1p(-static_cast<double>(bits64() & mask) * 0x1p-53));
  second_normal_ = radius * std::sin(angle);
  return radius * std::cos(angle);
}

void TorchGenerator::normal(std::span<float> values, double mean, double deviation) {
  if (values.size() < normal_block) {
    for (float& v : values) v = static_cast<float>(small_normal() * deviation + mean);
    return;
  }
  for (float& v : values) v = unit(bits());
  for (std::span<float> rest = values; rest.size() >= normal_block; rest = rest.subspan(normal_block))
    box_muller(rest.first<normal_block>(), mean, deviation);
  if (values.size() % normal_block == 0) return;
  const auto last =
      values.last<normal_block>();  // overlaps the last whole block; sampled again, as in PyTorch
  for (float& v : last) v = unit(bits());
  box_muller(last, mean, deviation);
}

void TorchGenerator::discard_normal(std::int64_t n) {
  constexpr auto block = static_cast<std::int64_t>(normal_block);
  if (n >= block) return discard(n + (n % block == 0 ? 0 : block));
  for (std::int64_t i = 0; i < n; ++i) small_normal();
}

std::vector<std::int64_t> TorchGenerator::permutation(std::int64_t n) {
  REPRISE_CHECK(n >= 0 && n < std::numeric_limits<std::uint32_t>::max() / 20,
                "torch generator: expected 0 to 2^32 / 20 numbers to permute, got {}", n);
  std::vector<std::int64_t> p(static_cast<std::size_t>(n));
  std::iota(p.begin(), p.end(), 0);
  for (std::size_t i = 0; i + 1 < p.size(); ++i) std::swap(p[i], p[i + bits() % (p.size() - i)]);
  return p;
}

std::string TorchGenerator::state() const {
  std::ostringstream out;
  out.imbue(std::locale::classic());
  out << engine_;
  if (second_normal_) out << " normal " << std::bit_cast<std::uint64_t>(*second_normal_);
  return out.str();
}

TorchGenerator TorchGenerator::from_state(std::string_view state) {
  std::istringstream in{std::string(state)};
  in.imbue(std::locale::classic());
  TorchGenerator g(0);
  std::string word;
  std::uint64_t normal = 0;
  REPRISE_CHECK(in >> g.engine_, "torch generator: the saved state is damaged");
  if (in >> word) {
    REPRISE_CHECK(word == "normal" && in >> normal && (in >> std::ws).eof(),
                  "torch generator: the saved state is damaged");
    g.second_normal_ = std::bit_cast<double>(normal);
  }
  return g;
}

}  // namespace reprise
