// What the loops over tiles (tap_conv.cpp, tap_blocks.cpp) share: how a tap convolution is cut into units and
// how a unit's pixels are copied.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "engine/core/dtype.h"
#include "engine/kernels/cpu/conv/tap_conv.h"

namespace reprise::kernels::cpu {

// What tiles read as a word: a float; of bf16 a widened channel, where the two of a pair have changed places;
// or a pair of bf16, of which they sum single ones or blocks (bf16_order.h).
enum class WordForm : std::uint8_t { floats, swapped, pairs, blocks };
template <class T>
WordForm word_form();

// The channels of a pixel as words: whole pairs of bf16, the second of the last one perhaps 0.
template <class T>
std::int64_t words_of(const TapConv<T>& t);

// The work is cut into units: some images, or some rows of one image, times some blocks of outputs. How is
// decided by the shapes and the number of threads, on which no result depends.
struct TapPlan {
  WordForm form;
  std::int64_t words, tap_words;  // words_of and tap_words of the convolution
  bool flat;                      // one tap, stride 1: the pixels of all images are one long row
  bool in_place;                  // read where it lies
  std::int64_t images, rows;      // of a unit
  std::int64_t image_units, row_units, block_units, blocks;
  // A unit's copy of the input: from pixel to pixel in the image and in the copy, which leaves out what a
  // single strided tap never reads.
  std::int64_t step_w, step_h, stride_w, stride_h;
  std::int64_t copy_w, copy_h, pixel_words;
  // From row to row and from image to image, in words. Images follow one another; where tiles read blocks
  // they lie side by side, and what pads a row on the right is what pads the next one on the left.
  std::int64_t row_words, image_words;
  // Runs of contiguous words that tiles read, relative to a pixel of the copy, in order. In blocks a run is
  // one.
  std::vector<std::int64_t> runs;
  std::int64_t run_length;
};
template <class T>
TapPlan make_plan(const TapConv<T>& t, std::int64_t block);

// Of a tap in the copy and in packed weights: words_of, or with zeros behind, so that blocks divide them.
template <class T>
std::int64_t tap_words(const TapConv<T>& t);
// How many pairs a block has.
template <class T>
std::int64_t pairs_of_blocks(const TapConv<T>& t);

// Counts the jobs of each unit, one for each part of its blocks, to tell TapConv::made of its outputs when
// the last of them is done.
template <class T>
class UnitsMade {
 public:
  UnitsMade(const TapConv<T>& t, const TapPlan& p)
      : t_(t), p_(p), left_(t.made ? static_cast<std::size_t>(p.image_units * p.row_units) : 0) {
    for (auto& jobs : left_) jobs = p.block_units;
  }
  void done(std::int64_t unit);

 private:
  const TapConv<T>& t_;
  const TapPlan& p_;
  std::vector<std::atomic<std::int64_t>> left_;
};

// Tells a thread whether its last job was of the same unit, so that what it made of it, the copy above all,
// is still there: jobs of a unit follow one another. What UnitsMade tells may use that memory, as then no job
// of the unit is left.
class SameUnit {
 public:
  SameUnit();
  bool operator()(std::int64_t unit) const;

 private:
  std::uint64_t call_;
};

// Copies the channels read of `pixels` pixels in a row, from pixel `first` of all images on, as tiles want
// them; returns what lies behind.
template <class T>
float* copy_pixels(const TapConv<T>& t, const TapPlan& p, std::int64_t first, std::int64_t pixels, float* to);
// The copy of images [first, last), from output row `row` on, with `slack` words of 0 behind.
template <class T>
float* copy_images(const TapConv<T>& t, const TapPlan& p, std::int64_t first, std::int64_t last,
                   std::int64_t row, std::int64_t slack);

// tap_conv where tiles read blocks.
void tap_conv_blocks(const TapConv<BFloat16>& t, const PackedWeights& weights);

}  // namespace reprise::kernels::cpu
