#include "engine/kernels/cpu/conv/tap_plan.h"

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

#include "engine/base/parallel.h"
#include "engine/kernels/cpu/base/chunks.h"
#include "engine/kernels/cpu/base/non_temporal.h"
#include "engine/kernels/cpu/base/scratch.h"
#include "engine/kernels/cpu/conv/bf16_order.h"
#include "engine/kernels/cpu/leaf/block_tile.h"
#include "engine/kernels/cpu/leaf/conv_tile.h"

namespace reprise::kernels::cpu {
namespace {

constexpr std::int64_t copy_budget = 240 << 10;    // words: 960 KiB fit a core's L2 beside a panel
constexpr std::int64_t source_budget = 120 << 10;  // words; a source's operands share the cache
constexpr std::int64_t unit_pixels = 392;          // enough to fetch a panel for
constexpr std::int64_t least_pixels = 84;          // the smallest part that is cut for want of jobs

// Returns how many jobs keep the threads busy to the end.
std::int64_t wanted_jobs() {
  const std::int64_t threads = thread_count();
  return threads * std::max<std::int64_t>(2, div_up(8, threads));
}

// Returns the words from pixel to pixel of a copy. A tile reads the same channel of its pixels
// together; pixels a multiple of 4 KiB apart would evict each other from the first-level cache.
std::int64_t spread(std::int64_t words) {
  return words % 1024 == 0 ? words + 16 : words;
}

template <class T>
std::int64_t channels_of(const TapConv<T>& t) {
  return std::is_same_v<T, BFloat16> ? div_up(t.c, 2) * 2 : t.c;
}

template <class T>
bool are_contiguous(const TapConv<T>& t) {
  return t.cols.back() + 1 == std::ssize(t.cols);
}

// How pairs are cut into blocks of one size: the pairs of a row of taps together if
// that makes fewer blocks, else those of each tap.
struct Blocks {
  bool together;
  std::int64_t pairs, tap_words;
};
template <class T>
Blocks blocks_of(const TapConv<T>& t) {
  const std::int64_t words = words_of(t), row = words * std::ssize(t.cols);
  const std::int64_t of_tap = div_up(words, block_pairs), of_row = div_up(row, block_pairs);
  if (are_contiguous(t) && row % of_row == 0 && of_row < of_tap * std::ssize(t.cols))
    return {true, row / of_row, words};
  const std::int64_t pairs = div_up(words, of_tap);
  return {false, pairs, pairs * of_tap};
}

// Pixels of zeros at the left and the right end of a row of `width` pixels in the copy.
struct Padding {
  std::int64_t left, right;
};
template <class T>
Padding padding_of(const TapConv<T>& t, const TapPlan& p, std::int64_t width) {
  const std::int64_t left = std::clamp<std::int64_t>(div_up(-t.col_origin, p.step_w), 0, width);
  return {left, width - std::clamp(div_up(t.w - t.col_origin, p.step_w), left, width)};
}
// Returns how many pixels of a row's right padding the next row's left padding can replace.
template <class T>
std::int64_t shared_padding(const TapConv<T>& t, const TapPlan& p) {
  const Padding padding = padding_of(t, p, p.copy_w);
  return std::min(padding.left, padding.right);
}

// Lists the runs of words. Neighbouring tap columns that are contiguous in the copy are one run.
template <class T>
void make_runs(const TapConv<T>& t, TapPlan& p) {
  if (p.form == WordForm::blocks) {
    const Blocks blocks = blocks_of(t);
    p.run_length = blocks.pairs;
    const std::int64_t cols = std::ssize(t.cols), length = blocks.tap_words * (blocks.together ? cols : 1);
    for (const std::int64_t a : t.rows)
      for (std::int64_t b = 0; b < (blocks.together ? 1 : cols); ++b)
        for (std::int64_t i = 0; i < length; i += blocks.pairs)
          p.runs.push_back(a * p.row_words + t.cols[static_cast<std::size_t>(b)] * p.pixel_words + i);
    return;
  }
  const bool together = are_contiguous(t) && p.pixel_words == p.words;
  p.run_length = p.words * (together ? std::ssize(t.cols) : 1);
  for (const std::int64_t a : t.rows) {
    if (together) {
      p.runs.push_back(a * p.row_words);
    } else {
      for (const std::int64_t b : t.cols) p.runs.push_back(a * p.row_words + b * p.pixel_words);
    }
  }
}

}  // namespace

template <class T>
WordForm word_form() {
  if constexpr (std::is_same_v<T, float>) return WordForm::floats;
  if (bf16_order() == Bf16Order::blocks) return WordForm::blocks;
  return conv_leaf().pairs ? WordForm::pairs : WordForm::swapped;
}

template <class T>
std::int64_t words_of(const TapConv<T>& t) {
  const WordForm form = word_form<T>();
  return form == WordForm::floats || form == WordForm::swapped ? channels_of(t) : channels_of(t) / 2;
}

template <class T>
std::int64_t tap_words(const TapConv<T>& t) {
  return word_form<T>() == WordForm::blocks ? blocks_of(t).tap_words : words_of(t);
}

template <class T>
std::int64_t pairs_of_blocks(const TapConv<T>& t) {
  return blocks_of(t).pairs;
}

template <class T>
TapPlan make_plan(const TapConv<T>& t, std::int64_t block) {
  TapPlan p{};
  p.form = word_form<T>(), p.words = words_of(t), p.tap_words = tap_words(t);
  p.blocks = div_up(t.o, block);
  p.flat = t.rows.size() == 1 && t.cols.size() == 1 && t.stride_h == 1 && t.stride_w == 1 &&
           t.row_origin == 0 && t.col_origin == 0 && t.oh == t.h && t.ow == t.w &&
           t.out_row == t.ow * t.out_pixel && t.out_image == t.oh * t.out_row;
  const std::int64_t words = p.tap_words, budget = t.source ? source_budget : copy_budget,
                     span_w = t.cols.back() + 1, span_h = t.rows.back() + 1, jobs = wanted_jobs();
  const WordForm form = p.form;
  p.pixel_words = form == WordForm::blocks && blocks_of(t).together ? words : spread(words);
  p.step_w = t.cols.size() == 1 ? t.stride_w : 1, p.stride_w = t.stride_w / p.step_w;
  p.step_h = t.rows.size() == 1 ? t.stride_h : 1, p.stride_h = t.stride_h / p.step_h;
  p.copy_w = (t.ow - 1) * p.stride_w + span_w;
  if (form == WordForm::blocks)  // see tap_blocks.cpp
    p.copy_w = p.stride_w == 1 ? p.copy_w - shared_padding(t, p) : div_up(p.copy_w, p.stride_w) * p.stride_w;
  const auto height = [&](std::int64_t rows) { return (rows - 1) * p.stride_h + span_h; };
  if (p.flat) {
    const std::int64_t stride = t.in_channels * std::int64_t{sizeof(T)} / 4;
    const bool whole_pairs = t.c % 2 == 0 && t.c_begin % 2 == 0 && t.in_channels % 2 == 0;
    p.in_place = !t.source && spread(stride) == stride && words == p.words &&
                 (form == WordForm::floats || (form != WordForm::swapped && whole_pairs));
    p.images = 1;
    // A multiple of every instruction set's tiles.
    const std::int64_t step = form == WordForm::blocks ? 2 * tile_pixels : 84;
    const std::int64_t pixels = t.n * t.h * t.w;
    p.rows = std::clamp<std::int64_t>(budget / words / step * step, step, 784);  // pixels
    if (t.source) {
      p.rows = std::min(p.rows, div_up(div_up(pixels, jobs), step) * step);
    } else if (form != WordForm::blocks) {  // tiles of blocks need more pixels for each panel
      const std::int64_t units = std::clamp<std::int64_t>(pixels / least_pixels, 1, jobs),
                         tile = conv_leaf().variants[0].pixels * conv_leaf().variants[0].segments;
      p.rows = std::min(p.rows, div_up(div_up(pixels, units), tile) * tile);
    }
    p.rows = std::min(p.rows, pixels);
    p.image_units = 1;
    p.row_units = div_up(pixels, p.rows);
  } else {
    p.rows = t.oh;
    // Few images are cut into rows, into more if there are few blocks of outputs. A source's
    // images are not cut, because it would compute twice the rows that two parts share.
    const std::int64_t pixels = t.oh * t.ow, missing = div_up(jobs, t.n * p.blocks);
    const std::int64_t most = std::max(pixels / unit_pixels, std::min(missing, pixels / least_pixels));
    const std::int64_t parts = std::min(div_up(jobs, t.n), most);
    if (!t.source && parts > 1) p.rows = div_up(t.oh, std::min(parts, t.oh));
    while (p.rows > 1 && height(p.rows) * p.copy_w * p.pixel_words > budget) p.rows = div_up(p.rows, 2);
    p.row_units = div_up(t.oh, p.rows);
    p.images = 1;
    if (p.row_units == 1) {
      const std::int64_t by_size =
          std::max<std::int64_t>(1, budget / (height(t.oh) * p.copy_w * p.pixel_words));
      p.images = std::min({t.n, by_size, div_up(unit_pixels, t.oh * t.ow)});
      if (t.source) p.images = std::min(p.images, div_up(t.n, jobs));
      if (p.images > 2) p.images -= p.images % 2;  // for tiles of two rows, in images of 7
    }
    p.image_units = div_up(t.n, p.images);
  }
  p.copy_h = height(p.rows);
  const std::int64_t image_row = p.copy_w * p.pixel_words;
  const bool side_by_side = form == WordForm::blocks;
  p.row_words = side_by_side ? p.images * image_row : image_row;
  p.image_words = side_by_side ? image_row : p.copy_h * image_row;
  // Few units (small batches): the blocks of outputs are cut too, unless a source would
  // compute the pixels for each part again.
  const std::int64_t units = p.image_units * p.row_units;
  p.block_units = t.source || units >= jobs ? 1 : std::min(p.blocks, div_up(jobs, units));
  make_runs(t, p);
  return p;
}

namespace {

template <class T>
float* copy_from(const TapConv<T>& t, const TapPlan& p, const T* from, std::int64_t pixels, float* to) {
  const std::int64_t words = p.words, padding = p.tap_words - words, whole = t.c / 2 * 2;
  const bool swapped = p.form == WordForm::swapped;
  const auto copy = [&](const T* values, std::int64_t n, float* out) {
    if constexpr (std::is_same_v<T, BFloat16>)
      if (swapped) {
        conv_leaf().widen_swapped(values, out, n);
        return;
      }
    std::memcpy(out, values, static_cast<std::size_t>(n) * sizeof(T));
  };
  if (t.c == t.in_channels && channels_of(t) == t.c && p.step_w == 1 && p.pixel_words == words) {
    copy(from, pixels * t.c, to);
    return to + pixels * words;
  }
  if constexpr (std::is_same_v<T, BFloat16>)
    if (t.c == 3) {  // an image; a call for each pixel would take longer than the convolution
      for (std::int64_t q = 0; q < pixels; ++q, from += p.step_w * t.in_channels, to += p.pixel_words) {
        if (swapped) {
          const auto high = [from](int c) { return std::uint32_t{from[c].bits} << 16; };  // a float's bits
          const std::uint32_t floats[4] = {high(1), high(0), 0, high(2)};
          std::memcpy(to, floats, sizeof floats);
          continue;
        }
        const std::uint64_t pairs = std::uint64_t{from[2].bits} << 32 | std::uint32_t{from[1].bits} << 16 |
                                    std::uint32_t{from[0].bits};
        std::memcpy(to, &pairs, sizeof pairs);
        if (padding > 0) std::fill_n(to + words, padding, 0.0F);
      }
      return to;
    }
  for (std::int64_t q = 0; q < pixels; ++q, from += p.step_w * t.in_channels, to += p.pixel_words) {
    if (std::is_same_v<T, float> || whole == t.c) {
      copy(from, t.c, to);
    } else {
      const T last[2] = {from[t.c - 1], T{}};
      copy(from, whole, to);
      copy(last, 2, to + whole * words / channels_of(t));
    }
    if (padding > 0) std::fill_n(to + words, padding, 0.0F);
  }
  return to;
}

}  // namespace

template <class T>
float* copy_pixels(const TapConv<T>& t, const TapPlan& p, std::int64_t first, std::int64_t pixels,
                   float* to) {
  if (!t.source) return copy_from(t, p, t.in + first * t.in_channels + t.c_begin, pixels, to);
  if (t.c == t.in_channels && p.form != WordForm::swapped &&
      p.pixel_words * std::int64_t{sizeof(float)} == t.c * std::int64_t{sizeof(T)}) {
    t.source(first, pixels, reinterpret_cast<T*>(to));
    fence_non_temporal();
    return to + pixels * p.pixel_words;
  }
  // A few pixels at a time, which stay in the first-level cache.
  const std::int64_t few = rows_per_chunk(4 << 10, t.in_channels);
  T* made = scratch_of<T>(Scratch::operand, static_cast<std::size_t>(few * t.in_channels));
  for (std::int64_t end = first + pixels; first < end; first += few) {
    const std::int64_t count = std::min(few, end - first);
    t.source(first, count, made);
    to = copy_from(t, p, made + t.c_begin, count, to);
  }
  fence_non_temporal();  // a source may use such stores
  return to;
}

namespace {

// Copies copy_h rows of an image, from input row `first` on, with zeros outside the image.
template <class T>
void copy_padded(const TapConv<T>& t, const TapPlan& p, std::int64_t image, std::int64_t first, float* to) {
  const Padding padding = padding_of(t, p, p.copy_w);
  const std::int64_t inside = p.copy_w - padding.left - padding.right;
  const auto zeros = [&p](float* at, std::int64_t pixels) {
    std::memset(at, 0, static_cast<std::size_t>(pixels * p.pixel_words) * sizeof(float));
    return at + pixels * p.pixel_words;
  };
  for (std::int64_t r = 0; r < p.copy_h; ++r, to += p.row_words) {
    const std::int64_t h = first + r * p.step_h, w = t.col_origin + padding.left * p.step_w;
    if (h < 0 || h >= t.h || inside == 0) {
      zeros(to, p.copy_w);
      continue;
    }
    zeros(copy_pixels(t, p, (image * t.h + h) * t.w + w, inside, zeros(to, padding.left)), padding.right);
  }
}

}  // namespace

template <class T>
float* copy_images(const TapConv<T>& t, const TapPlan& p, std::int64_t first, std::int64_t last,
                   std::int64_t row, std::int64_t slack) {
  const std::int64_t words = p.images * p.copy_h * p.copy_w * p.pixel_words;
  float* copy = scratch(Scratch::pixels, static_cast<std::size_t>(words + slack));
  // The last unit may have fewer images; the rest of its copy is 0.
  if (last - first < p.images) std::memset(copy, 0, static_cast<std::size_t>(words) * sizeof(float));
  std::memset(copy + words, 0, static_cast<std::size_t>(slack) * sizeof(float));
  for (std::int64_t n = first; n < last; ++n)
    copy_padded(t, p, n, t.row_origin + row * t.stride_h, copy + (n - first) * p.image_words);
  return copy;
}

template <class T>
void UnitsMade<T>::done(std::int64_t unit) {
  if (!t_.made || left_[static_cast<std::size_t>(unit)].fetch_sub(1, std::memory_order_acq_rel) > 1) return;
  const std::int64_t image = t_.oh * t_.ow, all = t_.n * image;
  const std::int64_t first =
      p_.flat ? unit * p_.rows
              : unit / p_.row_units * p_.images * image + unit % p_.row_units * p_.rows * t_.ow;
  const std::int64_t count = p_.flat             ? p_.rows
                             : p_.row_units == 1 ? p_.images * image
                                                 : std::min(p_.rows * t_.ow, image - first % image);
  t_.made(first, std::min(count, all - first));
}

SameUnit::SameUnit() {
  static std::atomic<std::uint64_t> calls{0};
  call_ = ++calls;
}

bool SameUnit::operator()(std::int64_t unit) const {
  struct Job {
    std::uint64_t call = 0;
    std::int64_t unit = 0;
    bool operator==(const Job&) const = default;
  };
  thread_local Job last;
  return std::exchange(last, {call_, unit}) == Job{call_, unit};
}

#define REPRISE_TAP_PLAN(T)                                                                                \
  template WordForm word_form<T>();                                                                        \
  template std::int64_t words_of(const TapConv<T>&);                                                       \
  template std::int64_t tap_words(const TapConv<T>&);                                                      \
  template std::int64_t pairs_of_blocks(const TapConv<T>&);                                                \
  template TapPlan make_plan(const TapConv<T>&, std::int64_t);                                             \
  template class UnitsMade<T>;                                                                             \
  template float* copy_pixels(const TapConv<T>&, const TapPlan&, std::int64_t, std::int64_t, float*);      \
  template float* copy_images(const TapConv<T>&, const TapPlan&, std::int64_t, std::int64_t, std::int64_t, \
                              std::int64_t)
REPRISE_TAP_PLAN(float);
REPRISE_TAP_PLAN(BFloat16);
#undef REPRISE_TAP_PLAN

}  // namespace reprise::kernels::cpu
