// bf16 on every instruction set:
// rounds as to_bfloat16 does, and convolution tiles have the same bits.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "engine/base/parallel.h"
#include "engine/base/random.h"
#include "engine/core/tensor.h"
#include "engine/kernels/cpu/leaf/block_tile.h"
#include "engine/kernels/cpu/leaf/conv_tile.h"
#include "engine/kernels/cpu/leaf/elementwise.h"

namespace reprise::kernels::cpu {
namespace {

struct Forms {
  Isa isa;
  const ElementwiseLeaf<BFloat16>* elementwise;
  const ConvLeaf* conv;
};
std::vector<Forms> forms() {
  std::vector<Forms> all{{Isa::portable, &isa_portable::elementwise_leaf_bf16, &isa_portable::conv_leaf}};
#if defined(__x86_64__)
  const Forms faster[] = {
      {Isa::avx2, &isa_avx2::elementwise_leaf_bf16, &isa_avx2::conv_leaf},
      {Isa::avx512, &isa_avx512::elementwise_leaf_bf16, &isa_avx512::conv_leaf},
      {Isa::avx512bf16, &isa_avx512bf16::elementwise_leaf_bf16, &isa_avx512bf16::conv_leaf}};
  for (const Forms& f : faster)
    if (f.isa <= cpu_isa()) all.push_back(f);
#endif
  return all;
}

// Tests every upper half, with lower halves around the tie.
TEST(Bf16, RoundsAsTheScalarFunction) {
  std::vector<float> x;
  for (std::uint32_t upper = 0; upper < 0x10000; ++upper)
    for (const std::uint32_t lower : {0u, 1u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
      const float v = std::bit_cast<float>(upper << 16 | lower);
      // Skips denormals:
      // they never reach a kernel's result, and the bf16 instructions treat them as 0.
      if (v == 0 || std::isnan(v) || std::abs(v) >= 1.17549435e-38F) x.push_back(v);
    }
  const auto n = static_cast<std::int64_t>(x.size());
  for (const Forms& f : forms()) {
    std::vector<BFloat16> y(x.size());
    std::vector<float> back(x.size());
    f.elementwise->narrow(x.data(), y.data(), n);
    f.elementwise->widen(y.data(), back.data(), n);
    for (std::size_t i = 0; i < x.size(); ++i) {
      ASSERT_EQ(y[i].bits, to_bfloat16(x[i]).bits) << name_of(f.isa) << " " << x[i];
      ASSERT_EQ(std::bit_cast<std::uint32_t>(back[i]), std::bit_cast<std::uint32_t>(to_float(y[i])));
    }
  }
}

// One pixel's sums over pairs equal those of a loop over floats that adds the odd product first.
TEST(Bf16, TilesAddTheOddProductOfAPairFirst) {
  constexpr std::int64_t pairs = 37;
  RandomStream random(0, "bf16 tiles");
  for (const Forms& f : forms()) {
    const FlushDenormals flush;
    const ConvLeaf& leaf = *f.conv;
    for (int i = 0; i < leaf.variant_count; ++i) {
      const TileVariant& v = leaf.variants[i];
      const std::int64_t outputs = std::int64_t{v.vectors} * leaf.lanes, pixels = v.pixels * v.segments;
      const std::int64_t words = leaf.pairs ? pairs : 2 * pairs;
      std::vector<BFloat16> x(static_cast<std::size_t>(2 * pairs * (pixels + 8 * v.pixels))),
          w(static_cast<std::size_t>(2 * pairs * outputs)), y(static_cast<std::size_t>(pixels * outputs));
      for (BFloat16& b : x) b = to_bfloat16(static_cast<float>(random.normal()));
      for (BFloat16& b : w) b = to_bfloat16(static_cast<float>(random.normal()));  // [channel][output]
      const auto weight = [&](std::int64_t c, std::int64_t o) {
        return w[static_cast<std::size_t>(c * outputs + o)];
      };
      std::vector<float> in(x.size()), panel;
      if (leaf.pairs)
        std::memcpy(in.data(), x.data(), x.size() * sizeof(BFloat16));
      else
        leaf.widen_swapped(x.data(), in.data(), static_cast<std::int64_t>(x.size()));
      for (std::int64_t k = 0; k < words; ++k)
        for (std::int64_t o = 0; o < outputs; ++o)
          panel.push_back(
              leaf.pairs ? std::bit_cast<float>(static_cast<std::uint32_t>(weight(2 * k + 1, o).bits) << 16 |
                                                weight(2 * k, o).bits)
                         : to_float(weight(k ^ 1, o)));
      const std::int64_t no_offset = 0;
      TileCall call{};
      for (int s = 0; s < v.segments; ++s) {
        call.in[s] = in.data() + s * v.pixels * words;
        call.out[s] = y.data() + s * v.pixels * outputs;
        call.valid[s] = v.pixels;
      }
      call.in_stride = words, call.out_stride = outputs, call.channels = outputs;
      call.runs = &no_offset, call.run_count = 1, call.run_length = words, call.panel = panel.data();
      v.run_bf16(call);
      for (std::int64_t p = 0; p < pixels; ++p)
        for (std::int64_t o = 0; o < outputs; ++o) {
          float sum = 0;
          for (std::int64_t c = 0; c < 2 * pairs; ++c)  // odd, even, odd, even, ...
            sum = std::fma(to_float(x[static_cast<std::size_t>(p * 2 * pairs + (c ^ 1))]),
                           to_float(weight(c ^ 1, o)), sum);
          ASSERT_EQ(y[static_cast<std::size_t>(p * outputs + o)].bits, to_bfloat16(sum).bits)
              << name_of(f.isa) << " variant " << i << " pixel " << p << " output " << o;
        }
    }
  }
}

struct BlockForm {
  Isa isa;
  const BlockLeaf* leaf;
};
std::vector<BlockForm> block_forms() {
  std::vector<BlockForm> all{{Isa::portable, &isa_portable::block_leaf}};
#if defined(__x86_64__)
  const BlockForm faster[] = {{Isa::avx2, &isa_avx2::block_leaf},
                              {Isa::avx512, &isa_avx512::block_leaf},
                              {Isa::amx, &isa_amx::block_leaf}};
  for (const BlockForm& f : faster)
    if (f.isa <= cpu_isa()) all.push_back(f);
#endif
  return all;
}

// The order of leaf/block_tile.h, one output at a time,
// also with numbers so small that products and sums are denormal.
TEST(Bf16, BlocksSumEvenAndOddChannelsApart) {
  const FlushDenormals flush;
  for (const BlockForm& f : block_forms())
    for (const std::int64_t pairs : {16, 14, 9, 1})
      for (const std::int64_t outputs : {16, 32})
        for (const float scale : {1.0F, 0x1p-63F}) {
          constexpr std::int64_t blocks = 5;
          const std::int64_t words = blocks * pairs, tiles = max_tiles * tile_outputs / outputs,
                             pixels = tiles * tile_pixels;
          RandomStream random(0, "bf16 blocks");
          const auto noise = [&](std::int64_t n) {
            std::vector<BFloat16> v(static_cast<std::size_t>(n));
            for (BFloat16& b : v) b = to_bfloat16(scale * static_cast<float>(random.normal()));
            return v;
          };
          const std::vector<BFloat16> x = noise(2 * pixels * words), w = noise(2 * words * outputs);
          std::vector<float> in(x.size() / 2), panel(w.size() / 2), sums(max_tiles * 256, NAN);
          std::memcpy(in.data(), x.data(), x.size() * sizeof(BFloat16));
          std::memcpy(panel.data(), w.data(), w.size() * sizeof(BFloat16));
          const auto place = [=](std::int64_t b, std::int64_t k, std::int64_t o) {  // the index in the panel
            return ((b * (outputs / tile_outputs) + o / tile_outputs) * pairs + k) * tile_outputs +
                   o % tile_outputs;
          };
          std::vector<std::int64_t> places;
          for (std::int64_t b = 0; b < blocks; ++b) places.push_back((b * 3 + 1) % blocks * pairs);
          BlockCall call{};
          for (std::int64_t t = 0; t < tiles; ++t) call.in[t] = in.data() + t * tile_pixels * words;
          call.in_stride = words, call.blocks = places.data(), call.block_count = blocks, call.pairs = pairs;
          call.panel = panel.data(), call.sums = sums.data();
          f.leaf->begin(pairs);
          (outputs == 16 ? f.leaf->run16 : f.leaf->run32)(call);
          f.leaf->end();
          std::int64_t nonzero = 0;
          for (std::int64_t p = 0; p < pixels; ++p)
            for (std::int64_t o = 0; o < outputs; ++o) {
              float sum = 0;
              for (std::int64_t b = 0; b < blocks; ++b) {
                float half[2] = {0, 0};
                for (std::int64_t k = 0; k < pairs; ++k)
                  for (std::int64_t odd : {0, 1}) {
                    const std::int64_t word = places[static_cast<std::size_t>(b)] + k;
                    half[odd] =
                        std::fma(to_float(x[static_cast<std::size_t>(2 * (p * words + word) + odd)]),
                                 to_float(w[static_cast<std::size_t>(2 * place(b, k, o) + odd)]), half[odd]);
                  }
                sum += half[0] + half[1];
              }
              nonzero += sum != 0 ? 1 : 0;
              const float got = sums[static_cast<std::size_t>(p * outputs + o)];
              // Without FMA a product is flushed before it is added.
              if (scale < 1 && f.isa == Isa::portable) {
                ASSERT_NEAR(got, sum, static_cast<float>(pairs * blocks * 2) * 0x1p-126F);
                continue;
              }
              ASSERT_EQ(std::bit_cast<std::uint32_t>(got), std::bit_cast<std::uint32_t>(sum))
                  << name_of(f.isa) << " pairs " << pairs << " pixel " << p << " output " << o;
            }
          EXPECT_GT(nonzero, 0);
        }
}

}  // namespace
}  // namespace reprise::kernels::cpu
