// What stands behind a convolution, fused. A large output b of the filter is not kept from forward to
// backward: it is made again, a few image rows at a time, and used while it is in cache, for nine
// multiply-adds cost less than memory. The sums run over the same chunks as those of the plain kernels, so
// fused and plain have the same bits.
#include <algorithm>
#include <numeric>
#include <optional>

#include "engine/core/parallel.h"
#include "engine/kernels/cpu/depthwise_rows.h"
#include "engine/kernels/cpu/instantiate.h"
#include "engine/kernels/cpu/leaf/conv_tail.h"
#include "engine/kernels/cpu/scratch.h"
#include "engine/kernels/cpu/sums.h"
#include "engine/kernels/kernels.h"

namespace reprise::kernels::cpu {
namespace {

constexpr std::int64_t stream_bytes = std::int64_t{16} << 20;

Conv2dArgs same_size(View w) {
  return Conv2dArgs::same_size(w.dim(1), w.dim(2));
}

// Rows of b = depthwise(x, w), or of x itself where there is no filter. Rows are counted over all images.
template <class T>
class Filtered {
 public:
  Filtered(View x, View w) : x_(x), w_(w), row_(x.dim(2) * x.dim(3)) {
    if (w) rows_ = DepthwiseRows::forward(same_size(w), x.shape, w.shape, x.shape);
  }
  std::int64_t row() const { return row_; }  // elements in a row

  // Rows [begin, end), one after the other; made in scratch memory of this thread, unless they are x's.
  // `next`: the tensor like x whose same rows the caller touches then.
  const T* rows(std::int64_t begin, std::int64_t end, const T* next) const {
    if (!w_) return x_.data<T>() + begin * row_;
    T* b = strip(end - begin);
    for (std::int64_t i = begin; i < end; ++i) into(b + (i - begin) * row_, i, next + i * row_);
    return b;
  }
  // Row i; `next` is the row that the caller touches then.
  void into(T* out, std::int64_t i, const T* next) const {
    rows_->gather(x_.data<T>(), 0, w_.data<float>(), i, out, next);
  }
  void correlate(const T* grad, std::int64_t i, float* taps) const {
    rows_->correlate(x_.data<T>(), 0, grad, i, taps);
  }
  // Scratch memory for so many rows.
  T* strip(std::int64_t rows) const { return scratch_of<T>(0, static_cast<std::size_t>(rows * row_)); }

 private:
  View x_, w_;
  std::int64_t row_;
  std::optional<DepthwiseRows> rows_;
};

GroupChunks chunks_of(const Shape& x, const Shape& statistics) {
  return GroupChunks::of_images(x, statistics[0], sum_chunk);
}

// Whether a pass over all of `out` writes it past the caches, which would not keep it.
template <class T>
bool streams(MutView out) {
  constexpr std::int64_t line = 64;
  return out && out.numel() * std::int64_t{sizeof(T)} >= stream_bytes &&
         out.dim(3) * std::int64_t{sizeof(T)} % line == 0 &&
         reinterpret_cast<std::uintptr_t>(out.data<T>()) % line == 0;
}

// Where the bits of a pixel start; null where there are none.
const std::uint8_t* bits_at(View positive, std::int64_t pixel) {
  return positive ? positive.data<std::uint8_t>() + pixel * positive.dim(3) : nullptr;
}

}  // namespace

template <class T>
void conv_tail_stats(View x, View w, MutView b, MutView mean, MutView var) {
  const GroupChunks z = chunks_of(x.shape, mean.shape);
  const Filtered<T> filtered(x, w);
  const std::int64_t width = x.dim(2), c = z.channels, row = width * c;
  float* parts = partial_sums(z.total() * 3 * c);
  parallel_for(z.total(), 1, [&](std::int64_t k, std::int64_t) {
    const std::int64_t first = z.begin(k) / width, last = first + z.rows(k) / width;
    T* out = b.data<T>();
    for (std::int64_t i = first; i < last; ++i)
      filtered.into(out + i * row, i, out + std::min(i + 1, last - 1) * row);
    chunk_moments(out + first * row, z.rows(k), c, parts + k * 3 * c);
  });
  join_moments(z, parts, mean, var);
}

template <class T>
void conv_tail_fwd(const ConvTailArgs& a, View x, View w, View mean, View var, View gamma, View beta,
                   View residual, MutView y, MutView positive) {
  const Filtered<T> b(x, w);
  const std::int64_t width = x.dim(2), channels = x.dim(3), row = b.row(), image_rows = x.dim(0) * x.dim(1);
  const std::int64_t group_rows = std::max<std::int64_t>(1, image_rows / mean.dim(0));
  const std::vector<float> scale = normal_scale(gamma, var, a.eps);
  const bool past = x.data<T>() != y.data<T>() && streams<T>(y);
  parallel_for(image_rows, rows_per_chunk(1 << 15, row), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t s = i / group_rows * channels;
      conv_tail_leaf<T>().finish(
          b.rows(i, i + 1, y.data<T>()), channels, mean.data<float>() + s, scale.data() + s,
          beta.data<float>() + s, residual ? residual.data<T>() + i * row : nullptr, a.relu,
          y.data<T>() + i * row,
          positive ? positive.data<std::uint8_t>() + i * width * positive.dim(3) : nullptr, past, width,
          channels, channels);
    }
  });
}

template <class T>
void conv_tail_bwd_params(const ConvTailArgs& a, View x, View w, View dy, View positive, View mean, View var,
                          MutView dgamma, MutView dbeta) {
  const GroupChunks z = chunks_of(x.shape, mean.shape);
  const Filtered<T> b(x, w);
  const std::int64_t width = x.dim(2), c = z.channels;
  // As few image rows at a time as make fours of pixels, in which batch norm's own sums go.
  const std::int64_t step = 4 / std::gcd(width, std::int64_t{4});
  float* parts = partial_sums(z.total() * 2 * c);
  parallel_for(z.total(), 1, [&](std::int64_t k, std::int64_t) {
    const std::int64_t first = z.begin(k) / width, last = first + z.rows(k) / width;
    float* sums = parts + k * 2 * c;
    std::fill_n(sums, 2 * c, 0.0F);
    for (std::int64_t i = first, end; i < last; i = end) {
      end = std::min(last, i + step);
      conv_tail_leaf<T>().grad_sums(b.rows(i, end, dy.data<T>()), dy.data<T>() + i * width * c,
                                    bits_at(positive, i * width), mean.data<float>() + z.group(k) * c, sums,
                                    sums + c, (end - i) * width, c);
    }
  });
  join_gradient_sums(z, parts, a.eps, var, dgamma, dbeta);
}

// The gradient db of the filter's output is made in scratch memory too, with the rows above and below that
// the filter reaches; dx and the chunk's part of dw come from it.
template <class T>
void conv_tail_bwd(const ConvTailArgs& a, View x, View b, View w, View dy, View positive, View mean, View var,
                   View gamma, View dgamma, View dbeta, MutView dx, MutView dw, MutView dresidual) {
  const Shape& images = dy.shape;
  const GroupChunks z = GroupChunks::of_images(images, var.dim(0), filter_chunk);
  const std::int64_t height = images[1], width = images[2], c = images[3], row = width * c;
  const bool constants = !dgamma;
  const Filtered<T> filtered(x ? x : View{nullptr, images}, w);
  const std::optional<DepthwiseRows> back =
      w ? std::optional(DepthwiseRows::backward(same_size(w), images, w.shape, images)) : std::nullopt;
  const std::vector<float> scale = normal_scale(gamma, var, a.eps);
  const InputGradient g =
      constants ? InputGradient{} : input_gradient(dgamma, dbeta, var, z.group_rows, a.eps);
  const std::int64_t filter = w ? w.dim(1) * w.dim(2) * c : 0;
  float* partial = dw ? partial_sums(z.total() * filter) : nullptr;

  parallel_for(z.total(), 1, [&](std::int64_t k, std::int64_t) {
    const std::int64_t s = z.group(k) * c, first = z.begin(k) / width, last = first + z.rows(k) / width;
    const ConvTailLeaf<T>& leaf = conv_tail_leaf<T>();
    // db of `rows` image rows from row i on; made of b, which is kept, or lies in `out`, or is x without a
    // filter.
    const auto input_gradient_rows = [&](std::int64_t i, std::int64_t rows, T* out, bool past) {
      const T* grads = dy.data<T>() + i * row;
      const std::uint8_t* bits = bits_at(positive, i * width);
      if (constants)
        leaf.masked(grads, bits, scale.data() + s, out, past, rows * width, c);
      else
        leaf.grad_input(b   ? b.data<T>() + i * row
                        : w ? out
                            : x.data<T>() + i * row,
                        grads, bits, mean.data<float>() + s, g.grad_mean.data() + s, g.slope.data() + s,
                        scale.data() + s, out, past, rows * width, c);
    };
    if (dresidual)
      leaf.masked(dy.data<T>() + first * row, bits_at(positive, first * width), nullptr,
                  dresidual.data<T>() + first * row, streams<T>(dresidual), z.rows(k), c);
    if (!w) {
      if (dx) input_gradient_rows(first, last - first, dx.data<T>() + first * row, streams<T>(dx));
      return;
    }
    if (!dx && !dw) return;
    const std::int64_t reach = dx ? w.dim(1) / 2 : 0;
    const std::int64_t low = std::max(first - reach, first / height * height);
    const std::int64_t high = std::min(last + reach, ((last - 1) / height + 1) * height);
    T* db = filtered.strip(high - low);
    float* taps = dw ? partial + k * filter : nullptr;
    if (dw) std::fill_n(taps, filter, 0.0F);
    std::int64_t made = low;  // rows of db
    for (std::int64_t i = first; i < last; ++i) {
      for (; made < std::min(high, i + reach + 1); ++made) {
        T* out = db + (made - low) * row;
        if (!constants && !b) filtered.into(out, made, dy.data<T>() + made * row);
        input_gradient_rows(made, 1, out, false);
      }
      if (dx)
        back->gather(db, low, w.data<float>(), i, dx.data<T>() + i * row,
                     dx.data<T>() + std::min(i + 1, last - 1) * row);
      if (dw) filtered.correlate(db + (i - low) * row, i, taps);
    }
  });
  if (dw) join_sums(z, partial, filter, dw.data<float>());
}

REPRISE_CPU_KERNEL(conv_tail_stats);
REPRISE_CPU_KERNEL(conv_tail_fwd);
REPRISE_CPU_KERNEL(conv_tail_bwd_params);
REPRISE_CPU_KERNEL(conv_tail_bwd);

}  // namespace reprise::kernels::cpu
