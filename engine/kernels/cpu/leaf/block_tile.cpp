#include "engine/kernels/cpu/leaf/block_tile.h"

#include "engine/kernels/cpu/leaf/vec.h"

namespace reprise::kernels::cpu::REPRISE_ISA {
namespace {

template <int outputs>
REPRISE_INLINE void write_rows(const BlockCall& call) {
  const BlockCall c = call;  // a copy: the compiler must assume that stores change `call`
  const float* sums = c.sums;
  const bool whole = c.channels == outputs;
  for (std::int64_t i = 0; i < c.row_count; ++i, sums += outputs) {
    if (c.rows[i] == nullptr) continue;
    BFloat16* out = c.rows[i] + c.offset;
    if (whole)
      for (int o = 0; o < outputs; o += lanes) store(out + o, load(sums + o));
    else
      for_vectors(c.channels, [&](std::int64_t o, auto part) { store(out + o, load(sums + o, part), part); });
  }
}

#if defined(__AMX_BF16__)

// The operand of ldtilecfg.
struct Configuration {
  std::uint8_t palette, start_row, reserved[14];
  std::uint16_t row_bytes[16];
  std::uint8_t rows[16];
};
static_assert(sizeof(Configuration) == 64);

// Tiles 0 to 3 hold sums, 4 and 5 pixels, 6 and 7 weights, a row for each pair.
void begin(std::int64_t pairs) {
  Configuration c{};
  c.palette = 1;
  for (int i = 0; i < 8; ++i) {
    c.rows[i] = static_cast<std::uint8_t>(i < 6 ? tile_pixels : pairs);
    c.row_bytes[i] = static_cast<std::uint16_t>(i == 4 || i == 5 ? 4 * pairs : 4 * tile_outputs);
  }
  __asm__ volatile("ldtilecfg %0" : : "m"(c));  // GCC 12's intrinsic names only eight of its bytes
}
void end() {
  _tile_release();
}

constexpr long word_bytes = sizeof(float);

#define REPRISE_LOAD_WEIGHTS(tile, from, row) \
  if constexpr (passes)                       \
    _tile_stream_loadd(tile, from, row);      \
  else                                        \
    _tile_loadd(tile, from, row)

// Keeps the vector unit awake by one addition. It sleeps after some 2,000 cycles in which only
// tiles are computed; the first store of a tile, which needs it, would then wait 700 cycles.
REPRISE_INLINE void use_vector_unit() {
  Vec v{};
  __asm__ volatile("vaddps %0, %0, %0" : "+v"(v));
}

// Lines to prefetch, a few with each block, those of outputs with the first half of a
// call's blocks. All at once they would keep tiles from loading.
struct Prefetches {
  BFloat16 *const *row, *const *row_end;
  const float *ahead, *ahead_end;
  std::int64_t rows_each, ahead_each;
};
REPRISE_INLINE Prefetches prefetches_of(const BlockCall& c) {
  return {c.rows,
          c.rows + c.row_count,
          c.ahead,
          c.ahead + c.ahead_lines * line_words,
          (2 * c.row_count + c.block_count - 1) / c.block_count,
          (c.ahead_lines + c.block_count - 1) / c.block_count};
}
REPRISE_INLINE void prefetch_some(const BlockCall& c, Prefetches& a) {
  for (std::int64_t k = a.rows_each; k > 0 && a.row != a.row_end; --k, ++a.row) {
    if (*a.row == nullptr) continue;
    const BFloat16* out = *a.row + c.offset;
    __builtin_prefetch(out, 1, 2);
    if (c.beside != 0) __builtin_prefetch(reinterpret_cast<const char*>(out) + c.beside, 0, 2);
  }
  for (std::int64_t k = a.ahead_each; k > 0 && a.ahead != a.ahead_end; --k, a.ahead += line_words)
    __builtin_prefetch(a.ahead, 0, 2);
}

// Each tile of pixels, and each of weights, is loaded once for two products. A product
// takes 16 cycles, a load from the first-level cache 8.
template <bool passes>
REPRISE_INLINE void run_2x2(const BlockCall& c) {
  const long stride = static_cast<long>(c.in_stride) * word_bytes, row = tile_outputs * word_bytes;
  const float* panel = c.panel;
  const std::int64_t second = c.pairs * tile_outputs;
  Prefetches prefetches = prefetches_of(c);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (std::int64_t b = 0; b < c.block_count; ++b, panel += 2 * second) {
    REPRISE_LOAD_WEIGHTS(6, panel, row);
    _tile_loadd(4, c.in[0] + c.blocks[b], stride);
    _tile_dpbf16ps(0, 4, 6);
    REPRISE_LOAD_WEIGHTS(7, panel + second, row);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, c.in[1] + c.blocks[b], stride);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
    prefetch_some(c, prefetches);
    use_vector_unit();
  }
  _tile_stored(0, c.sums, 2 * row);
  _tile_stored(1, c.sums + tile_outputs, 2 * row);
  _tile_stored(2, c.sums + tile_pixels * 2 * tile_outputs, 2 * row);
  _tile_stored(3, c.sums + tile_pixels * 2 * tile_outputs + tile_outputs, 2 * row);
}

template <bool passes>
REPRISE_INLINE void run_4x1(const BlockCall& c) {
  const long stride = static_cast<long>(c.in_stride) * word_bytes, row = tile_outputs * word_bytes;
  const float* panel = c.panel;
  Prefetches prefetches = prefetches_of(c);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (std::int64_t b = 0; b < c.block_count; ++b, panel += c.pairs * tile_outputs) {
    REPRISE_LOAD_WEIGHTS(6, panel, row);
    _tile_loadd(4, c.in[0] + c.blocks[b], stride);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(5, c.in[1] + c.blocks[b], stride);
    _tile_dpbf16ps(1, 5, 6);
    _tile_loadd(4, c.in[2] + c.blocks[b], stride);
    _tile_dpbf16ps(2, 4, 6);
    _tile_loadd(5, c.in[3] + c.blocks[b], stride);
    _tile_dpbf16ps(3, 5, 6);
    prefetch_some(c, prefetches);
    use_vector_unit();
  }
  constexpr int tile = tile_pixels * tile_outputs;
  _tile_stored(0, c.sums, row);
  _tile_stored(1, c.sums + tile, row);
  _tile_stored(2, c.sums + 2 * tile, row);
  _tile_stored(3, c.sums + 3 * tile, row);
}
#undef REPRISE_LOAD_WEIGHTS

void run32(const BlockCall& c) {
  if (c.panel_passes)
    run_2x2<true>(c);
  else
    run_2x2<false>(c);
  if (c.writes) write_rows<2 * tile_outputs>(c);
}
void run16(const BlockCall& c) {
  if (c.panel_passes)
    run_4x1<true>(c);
  else
    run_4x1<false>(c);
  if (c.writes) write_rows<tile_outputs>(c);
}

#else

void begin(std::int64_t) {}
void end() {}

// Return the even or the odd channels of words, as floats.
REPRISE_INLINE Vec even_half(VecBits words) {
  return (Vec)(words << 16);
}
REPRISE_INLINE Vec odd_half(VecBits words) {
  return (Vec)(words & 0xffff0000u);
}
REPRISE_INLINE VecBits load_words(const float* p) {
  VecBits v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
REPRISE_INLINE VecBits broadcast_word(const float* p) {
  std::uint32_t word;
  __builtin_memcpy(&word, p, sizeof word);
  return word - VecBits{};
}

template <int tiles>
void run(const BlockCall& c) {
  constexpr int outputs = max_tiles / tiles * tile_outputs, group = 4;
  for (int tile = 0; tile < tiles; ++tile)
    for (int pixel = 0; pixel < tile_pixels; pixel += group)
      for (int o = 0; o < outputs; o += lanes) {
        Vec sum[group] = {};
        for (std::int64_t b = 0; b < c.block_count; ++b) {
          const float* panel =
              c.panel + b * c.pairs * outputs + o / tile_outputs * c.pairs * tile_outputs + o % tile_outputs;
          const float* in = c.in[tile] + pixel * c.in_stride + c.blocks[b];
          Vec even[group] = {}, odd[group] = {};
          for (std::int64_t k = 0; k < c.pairs; ++k, panel += tile_outputs) {
            const VecBits w = load_words(panel);
#pragma GCC unroll 4
            for (int p = 0; p < group; ++p) {
              const VecBits x = broadcast_word(in + p * c.in_stride + k);
              even[p] = fma(even_half(x), even_half(w), even[p]);
              odd[p] = fma(odd_half(x), odd_half(w), odd[p]);
            }
          }
#pragma GCC unroll 4
          for (int p = 0; p < group; ++p) sum[p] = sum[p] + (even[p] + odd[p]);
        }
        for (int p = 0; p < group; ++p)
          store(c.sums + (tile * tile_pixels + pixel + p) * outputs + o, sum[p]);
      }
}
void run32(const BlockCall& c) {
  run<2>(c);
  if (c.writes) write_rows<2 * tile_outputs>(c);
}
void run16(const BlockCall& c) {
  run<4>(c);
  if (c.writes) write_rows<tile_outputs>(c);
}

#endif

void store_rows(const float* sums, std::int64_t outputs, BFloat16* out, std::int64_t rows,
                std::int64_t out_stride, std::int64_t channels) {
  for (std::int64_t r = 0; r < rows; ++r, sums += outputs, out += out_stride)
    for_vectors(channels, [&](std::int64_t o, auto part) { store(out + o, load(sums + o, part), part); });
}

}  // namespace

extern const BlockLeaf block_leaf;
const BlockLeaf block_leaf{begin, end, run16, run32, store_rows};

}  // namespace reprise::kernels::cpu::REPRISE_ISA
