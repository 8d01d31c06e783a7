// How tap_conv.cpp and tap_blocks.cpp cut a convolution into units, and copy a unit's pixels.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "engine/core/dtype.h"
#include "engine/kernels/cpu/conv/tap_conv.h"

namespace reprise::kernels::cpu {

// The word that tiles read.
//   floats   a float
//   swapped  a bf16 channel, widened; the two channels of each pair have changed places
//   pairs    a pair of bf16 channels, for Bf16Order::pairs
//   blocks   a pair of bf16 channels, for Bf16Order::blocks
enum class WordForm : std::uint8_t { floats, swapped, pairs, blocks };
// Returns the form for T, with this instruction set and bf16_order().
template <class T>
WordForm word_form();

// Returns the words of a pixel's channels. bf16 has whole pairs: a missing last channel is 0.
template <class T>
std::int64_t words_of(const TapConv<T>& t);

// How the work is cut: the input into units of some images, or some rows of one image,
// and the blocks of outputs into parts. A job is a unit with a part. The shapes and the
// number of threads decide the cut; no result depends on it.
struct TapPlan {
  WordForm form;
  std::int64_t words, tap_words;  // words_of and tap_words of the convolution
  bool flat;                      // one tap, stride 1: all pixels are one long row
  bool in_place;                  // the tiles read the input itself; needs `flat`
  std::int64_t images, rows;      // of a unit; if `flat`, rows counts pixels
  // Units along the images and the rows; parts of the blocks of outputs; all blocks of outputs.
  std::int64_t image_units, row_units, block_units, blocks;
  // A unit's copy of the input. It leaves out pixels that a single strided tap never reads. In
  // the form `blocks` its images lie side by side, and neighbouring rows share their padding.
  std::int64_t step_w, step_h;               // input pixels from one pixel of the copy to the next
  std::int64_t stride_w, stride_h;           // pixels of the copy from one output to the next
  std::int64_t copy_w, copy_h, pixel_words;  // size of an image's copy; words from pixel to pixel
  std::int64_t row_words, image_words;       // words from row to row, from image to image
  // Where each run of contiguous words begins, relative to an output's first pixel in
  // the copy, in the order of the sum. In the form `blocks` a run is a block of pairs.
  std::vector<std::int64_t> runs;
  std::int64_t run_length;
};
// Returns the plan for `block` outputs in a block.
template <class T>
TapPlan make_plan(const TapConv<T>& t, std::int64_t block);

// Returns the number of words of a tap in the copy and in packed weights: words_of, and
// in the form `blocks` zeros up to whole blocks.
template <class T>
std::int64_t tap_words(const TapConv<T>& t);
// Returns the number of pairs in a block; all blocks are of one size.
template <class T>
std::int64_t pairs_of_blocks(const TapConv<T>& t);

// Counts the jobs of each unit that are left, and calls TapConv::made after a unit's last job.
template <class T>
class UnitsMade {
 public:
  UnitsMade(const TapConv<T>& t, const TapPlan& p)
      : t_(t), p_(p), left_(t.made ? static_cast<std::size_t>(p.image_units * p.row_units) : 0) {
    for (auto& jobs : left_) jobs = p.block_units;
  }
  // Counts a job of the unit as done.
  void done(std::int64_t unit);

 private:
  const TapConv<T>& t_;
  const TapPlan& p_;
  std::vector<std::atomic<std::int64_t>> left_;
};

// Remembers each thread's last unit in a call of tap_conv, so that a unit's next job can use the
// copy again. TapConv::made may overwrite the copy, because no job of the unit is left then.
class SameUnit {
 public:
  SameUnit();
  // Returns whether this thread's last job was of the same unit, and remembers this one.
  bool operator()(std::int64_t unit) const;

 private:
  std::uint64_t call_;
};

// Copies `pixels` pixels, step_w apart, into `to` as words; `first` is counted over all
// images. Returns the address after the last word.
template <class T>
float* copy_pixels(const TapConv<T>& t, const TapPlan& p, std::int64_t first, std::int64_t pixels, float* to);
// Copies the input of a unit (images [first, last), from output row `row` on) into this thread's
// Scratch::pixels, with zeros around the images, and returns its address. `slack` words of 0
// follow the copy.
template <class T>
float* copy_images(const TapConv<T>& t, const TapPlan& p, std::int64_t first, std::int64_t last,
                   std::int64_t row, std::int64_t slack);

// Computes tap_conv in the form `blocks`.
void tap_conv_blocks(const TapConv<BFloat16>& t, const PackedWeights& weights);

}  // namespace reprise::kernels::cpu
