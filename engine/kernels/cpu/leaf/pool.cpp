#include "engine/kernels/cpu/leaf/pool.h"

#include "engine/kernels/cpu/leaf/vec.h"

namespace reprise::kernels::cpu::REPRISE_ISA {
namespace {

typedef std::uint8_t VecByte __attribute__((vector_size(lanes)));

REPRISE_INLINE VecInt load_bytes(const std::uint8_t* p, All) {
  VecByte v;
  __builtin_memcpy(&v, p, sizeof v);
  return __builtin_convertvector(v, VecInt);
}
REPRISE_INLINE VecInt load_bytes(const std::uint8_t* p, First part) {
  VecInt v{};
  for (int i = 0; i < part.n; ++i) v[i] = p[i];
  return v;
}
REPRISE_INLINE void store_bytes(std::uint8_t* p, VecInt v, All) {
  const VecByte bytes = __builtin_convertvector(v, VecByte);
  __builtin_memcpy(p, &bytes, sizeof bytes);
}
REPRISE_INLINE void store_bytes(std::uint8_t* p, VecInt v, First part) {
  for (int i = 0; i < part.n; ++i) p[i] = static_cast<std::uint8_t>(v[i]);
}

void max_fwd(const Window& z, std::int64_t first_tap, const float* in, float* out, std::uint8_t* tap) {
  for (std::int64_t o = 0; o < z.count; ++o)
    for_vectors(z.channels, [&](std::int64_t c, auto part) {
      const float* p = in + o * z.in_step + c;
      Vec best = load(p, part);
      VecInt winner = VecInt{} + static_cast<std::int32_t>(first_tap);
      for (std::int64_t r = 0; r < z.rows; ++r)
        for (std::int64_t s = 0; s < z.columns; ++s) {
          const Vec v = load(p + r * z.in_row + s * z.in_column, part);
          const VecInt wins = (v > best) | ((v != v) & (best == best));
          best = select(wins, v, best);
          const auto number = static_cast<std::int32_t>(first_tap + r * z.tap_row + s * z.tap_column);
          winner = wins ? VecInt{} + number : winner;
        }
      store(out + o * z.out_step + c, best, part);
      store_bytes(tap + o * z.out_step + c, winner, part);
    });
}

void max_bwd(const Window& z, std::int64_t first_tap, const float* in, const std::uint8_t* tap, float* out) {
  for (std::int64_t o = 0; o < z.count; ++o)
    for_vectors(z.channels, [&](std::int64_t c, auto part) {
      Vec sum{};
      for (std::int64_t r = 0; r < z.rows; ++r)
        for (std::int64_t s = 0; s < z.columns; ++s) {
          const std::int64_t at = o * z.in_step + r * z.in_row + s * z.in_column + c;
          const auto number = static_cast<std::int32_t>(first_tap + r * z.tap_row + s * z.tap_column);
          sum += select(load_bytes(tap + at, part) == number, load(in + at, part), Vec{});
        }
      store(out + o * z.out_step + c, sum, part);
    });
}

void weighted_sum(const Window& z, const float* in, const float* factors, bool per_place, float* out) {
  for (std::int64_t o = 0; o < z.count; ++o)
    for_vectors(z.channels, [&](std::int64_t c, auto part) {
      Vec sum{};
      for (std::int64_t r = 0; r < z.rows; ++r)
        for (std::int64_t s = 0; s < z.columns; ++s) {
          const std::int64_t at = o * z.in_step + r * z.in_row + s * z.in_column;
          sum += load(in + at + c, part) * (per_place ? factors[at / z.channels] : *factors);
        }
      store(out + o * z.out_step + c, sum, part);
    });
}

}  // namespace

extern const PoolLeaf pool_leaf;
const PoolLeaf pool_leaf{max_fwd, max_bwd, weighted_sum};

}  // namespace reprise::kernels::cpu::REPRISE_ISA
