// The gradients of what stands behind a convolution but for its parameters': those of x, filter and residual.
// The rest is in conv_tail.cpp.
#include <algorithm>
#include <optional>

#include "engine/core/parallel.h"
#include "engine/kernels/cpu/apart.h"
#include "engine/kernels/cpu/conv_tail.h"
#include "engine/kernels/cpu/depthwise_rows.h"
#include "engine/kernels/cpu/filtered_rows.h"
#include "engine/kernels/cpu/instantiate.h"
#include "engine/kernels/cpu/leaf/conv_tail.h"
#include "engine/kernels/cpu/leaf/pool.h"
#include "engine/kernels/cpu/pool_rows.h"
#include "engine/kernels/cpu/scratch.h"
#include "engine/kernels/cpu/streams.h"
#include "engine/kernels/cpu/sums.h"
#include "engine/kernels/kernels.h"

namespace reprise::kernels::cpu {
namespace {

// The gradient of y, rows counted over all images: it lies in memory, with bits that say where a ReLU let it
// through, or is made from that of a max pool behind it, whose taps know about the ReLU.
template <class T>
class OutputGradient {
 public:
  OutputGradient(View dy, View positive)
      : dy_(dy), positive_(positive), width_(dy.dim(2)), row_(width_ * dy.dim(3)) {}
  OutputGradient(const Pool2dArgs& pool, const Shape& images, View dy, View tap)
      : dy_(dy),
        tap_(tap),
        width_(images[2]),
        row_(width_ * images[3]),
        pooled_(PoolRows::backward(pool, images, dy.shape)) {}

  // Whether rows() makes them: a few at a time then.
  bool is_made() const { return pooled_.has_value(); }
  const T* rows(std::int64_t begin, std::int64_t end) const {
    if (!pooled_) return dy_.data<T>() + begin * row_;
    T* to = scratch_of<T>(1, static_cast<std::size_t>((end - begin) * row_));
    for (std::int64_t i = begin; i < end; ++i)
      pooled_->each_run(i, [&](const PoolRun& r) {
        pool_leaf<T>().max_bwd(r.window, r.first_tap, dy_.data<T>() + r.in, tap_.data<std::uint8_t>() + r.in,
                               to + r.out - begin * row_);
      });
    return to;
  }
  const std::uint8_t* bits(std::int64_t pixel) const { return bits_at(positive_, pixel); }

 private:
  View dy_, positive_, tap_;
  std::int64_t width_, row_;
  std::optional<PoolRows> pooled_;
};

// What the gradient db of batch norm's input b is made of, for one task group.
template <class T>
struct NormGradient {
  // The first three are null where the statistics are constants.
  const float *mean, *grad_mean, *slope, *scale;

  void operator()(const T* b, const T* dy, const std::uint8_t* open, T* db, bool past, std::int64_t pixels,
                  std::int64_t channels) const {
    if (mean == nullptr)
      conv_tail_leaf<T>().masked(dy, open, scale, db, past, pixels, channels);
    else
      conv_tail_leaf<T>().grad_input(b, dy, open, mean, grad_mean, slope, scale, db, past, pixels, channels);
  }
};

// Through the filter: db is made in scratch memory, with the rows above and below that the filter reaches; dx
// and the chunk's part of dw come from it. There, and of x, pixels lie apart.
template <class T>
class FilterGradient {
 public:
  FilterGradient(const Shape& images, View x, View b, View w, const OutputGradient<T>& dy, bool constants,
                 MutView dx, bool for_filter)
      : height_(images[1]),
        width_(images[2]),
        channels_(images[3]),
        row_(width_ * channels_),
        reach_(w.dim(1) / 2),
        taps_(w.dim(1) * w.dim(2)),
        x_(x),
        b_(b),
        dy_(dy),
        dx_(dx),
        makes_b_(!constants && !b),
        reads_x_(makes_b_ || for_filter),
        apart_(Apart::where<T>(512, channels_)),
        forward_(DepthwiseRows::forward(same_size(w), apart_.shape(images), apart_.shape(w.shape),
                                        apart_.shape(images))
                     .within(channels_, apart_.pixel)),
        back_(DepthwiseRows::backward(same_size(w), apart_.shape(images), apart_.shape(w.shape),
                                      apart_.shape(images))
                  .within(channels_, channels_)),
        filter_(w.data<float>()) {
    if (!apart_.is_needed()) return;
    filter_apart_ = apart_.copy_of(w);
    filter_ = filter_apart_.data();
  }

  // Image rows [first, last), counted over all images; dw (taps, C) of these, if it is wanted.
  void rows(std::int64_t first, std::int64_t last, const NormGradient<T>& norm, float* dw) const {
    const std::int64_t strip_row = width_ * apart_.pixel, reach = dx_ ? reach_ : 0,
                       top = first / height_ * height_, bottom = ((last - 1) / height_ + 1) * height_,
                       low = std::max(first - reach, top), high = std::min(last + reach, bottom),
                       db_size = (high - low) * strip_row;
    const bool copies = apart_.is_needed();
    ApartRows<T> source(apart_, x_.data<T>(), height_, width_, reach_, low, reads_x_ ? high : low);
    T* db = scratch_of<T>(0, static_cast<std::size_t>(db_size) + source.room());
    source.copy_to(db + db_size);
    float* sums = dw != nullptr && copies ? scratch(2, static_cast<std::size_t>(taps_ * apart_.pixel)) : dw;
    if (dw != nullptr) std::fill_n(sums, taps_ * apart_.pixel, 0.0F);

    const T* x = nullptr;
    std::int64_t made = low;  // rows of db
    for (std::int64_t i = first; i < last; ++i) {
      for (; made < std::min(high, i + reach + 1); ++made) {
        T* out = db + (made - low) * strip_row;
        const T* grads = dy_.rows(made, made + 1);
        x = source.rows_for(made);
        if (makes_b_) forward_.gather(x, source.first(), filter_, made, out, copies ? out : grads);
        normalise_back(norm, made, grads, out);
      }
      if (dx_) {
        T* out = dx_.data<T>();
        back_.gather(db, low, filter_, i, out + i * row_, out + std::min(i + 1, last - 1) * row_);
      }
      if (dw != nullptr) forward_.correlate(x, source.first(), db + (i - low) * strip_row, i, sums);
    }
    for (std::int64_t t = 0; sums != dw && t < taps_; ++t)
      std::copy_n(sums + t * apart_.pixel, channels_, dw + t * channels_);
  }

 private:
  // db of image row i in the place of b, if that is made here.
  void normalise_back(const NormGradient<T>& norm, std::int64_t i, const T* grads, T* out) const {
    const std::int64_t together = apart_.is_needed() ? 1 : width_;
    for (std::int64_t j = 0; j < width_; j += together) {
      T* db = out + j * apart_.pixel;
      norm(b_ ? b_.data<T>() + i * row_ + j * channels_ : db, grads + j * channels_, dy_.bits(i * width_ + j),
           db, false, together, channels_);
    }
  }

  std::int64_t height_, width_, channels_, row_, reach_, taps_;
  View x_, b_;
  const OutputGradient<T>& dy_;
  MutView dx_;
  bool makes_b_, reads_x_;
  Apart apart_;
  DepthwiseRows forward_, back_;
  const float* filter_;
  std::vector<float> filter_apart_;
};

template <class T>
void bwd(const ConvTailArgs& a, const Shape& images, View x, View b, View w, const OutputGradient<T>& dy,
         View mean, View var, View gamma, View dgamma, View dbeta, MutView dx, MutView dw,
         MutView dresidual) {
  const GroupChunks z = GroupChunks::of_images(images, var.dim(0), filter_chunk);
  const std::int64_t width = images[2], c = images[3], row = width * c;
  const bool constants = !dgamma;
  std::optional<FilterGradient<T>> through;
  if (w && (dx || dw)) through.emplace(images, x, b, w, dy, constants, dx, static_cast<bool>(dw));
  const std::vector<float> scale = normal_scale(gamma, var, a.eps);
  const InputGradient g =
      constants ? InputGradient{} : input_gradient(dgamma, dbeta, var, z.group_rows, a.eps);
  const std::int64_t filter = w ? w.dim(1) * w.dim(2) * c : 0;
  float* partial = dw ? partial_sums(z.total() * filter) : nullptr;

  parallel_for(z.total(), 1, [&](std::int64_t k, std::int64_t) {
    const std::int64_t s = z.group(k) * c, first = z.begin(k) / width, last = first + z.rows(k) / width;
    const auto of_group = [&](const std::vector<float>& values) {
      return values.empty() ? nullptr : values.data() + s;
    };
    const NormGradient<T> norm{constants ? nullptr : mean.data<float>() + s, of_group(g.grad_mean),
                               of_group(g.slope), scale.data() + s};
    if (dresidual)
      conv_tail_leaf<T>().masked(dy.rows(first, last), dy.bits(first * width), nullptr,
                                 dresidual.data<T>() + first * row, streams<T>(dresidual), z.rows(k), c);
    if (through) {
      through->rows(first, last, norm, dw ? partial + k * filter : nullptr);
    } else if (!w && dx) {
      const std::int64_t step = dy.is_made() ? 1 : last - first;
      for (std::int64_t i = first; i < last; i += step)
        norm(b           ? b.data<T>() + i * row
             : constants ? nullptr
                         : x.data<T>() + i * row,
             dy.rows(i, i + step), dy.bits(i * width), dx.data<T>() + i * row, streams<T>(dx), step * width,
             c);
    }
    flush_streams();
  });
  if (dw) join_sums(z, partial, filter, dw.data<float>());
}

}  // namespace

template <class T>
void conv_tail_bwd(const ConvTailArgs& a, View x, View b, View w, View dy, View positive, View mean, View var,
                   View gamma, View dgamma, View dbeta, MutView dx, MutView dw, MutView dresidual) {
  bwd(a, dy.shape, x, b, w, OutputGradient<T>(dy, positive), mean, var, gamma, dgamma, dbeta, dx, dw,
      dresidual);
}
template <class T>
void conv_tail_pool_bwd(const ConvTailArgs& a, const Pool2dArgs& pool, View x, View b, View w, View dy,
                        View tap, View mean, View var, View gamma, View dgamma, View dbeta, MutView dx,
                        MutView dw) {
  const Shape& images = dx ? dx.shape : x.shape;
  bwd(a, images, x, b, w, OutputGradient<T>(pool, images, dy, tap), mean, var, gamma, dgamma, dbeta, dx, dw,
      {});
}

REPRISE_CPU_KERNEL(conv_tail_bwd);
REPRISE_CPU_KERNEL(conv_tail_pool_bwd);

}  // namespace reprise::kernels::cpu
