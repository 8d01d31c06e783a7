#include "engine/base/random.h"

#include <cmath>
#include <numeric>
#include <string>

#include "engine/base/check.h"
#include "engine/base/sha256.h"

namespace reprise {

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> x, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53} * x[0], b = std::uint64_t{0xCD9E8D57} * x[2];
    x = {static_cast<std::uint32_t>(b >> 32) ^ x[1] ^ key[0], static_cast<std::uint32_t>(b),
         static_cast<std::uint32_t>(a >> 32) ^ x[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return x;
}

RandomStream::RandomStream(std::uint64_t seed, std::string_view purpose, std::uint64_t index)
    : counter_{0, 0, static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32)} {
  Sha256 hash;
  hash.update(std::to_string(seed) + "/" + std::string(purpose));
  const auto digest = hash.digest();
  for (std::size_t i = 0; i < 8; ++i) key_[i / 4] = key_[i / 4] << 8 | digest[i];
}

void RandomStream::refill() {
  block_ = philox(counter_, key_);
  if (++counter_[0] == 0) ++counter_[1];
  used_ = 0;
}

std::uint32_t RandomStream::bits() {
  if (used_ == 4) refill();
  return block_[used_++];
}

double RandomStream::uniform() {
  const std::uint64_t high = bits() >> 5, low = bits() >> 6;
  return static_cast<double>(high << 26 | low) * 0x1p-53;
}

double RandomStream::uniform(double low, double high) {
  return low + (high - low) * uniform();
}

double RandomStream::normal() {
  for (;;) {
    const double u = uniform(-1, 1), v = uniform(-1, 1), s = u * u + v * v;
    if (s > 0 && s < 1) return u * std::sqrt(-2 * std::log(s) / s);
  }
}

std::uint64_t RandomStream::below(std::uint64_t n) {
  REPRISE_INVARIANT(n > 0, "random: below(0)");
  const std::uint64_t reject = (0 - n) % n;  // 2^64 mod n values too many
  for (;;) {
    const std::uint64_t high = bits(), x = high << 32 | bits();
    if (x >= reject) return x % n;
  }
}

std::vector<std::int64_t> RandomStream::permutation(std::int64_t n) {
  std::vector<std::int64_t> p(static_cast<std::size_t>(n));
  std::iota(p.begin(), p.end(), 0);
  for (std::size_t i = p.size(); i > 1; --i) std::swap(p[i - 1], p[below(i)]);
  return p;
}

}  // namespace reprise
