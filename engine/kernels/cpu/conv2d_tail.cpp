// What stands behind a convolution, computed while the convolution's own pixels are in cache: its batch
// statistics, or all of it in inference; and backward the gradient that the convolution's own starts from,
// which is never in memory. The bits are those of the parts.
#include <algorithm>
#include <atomic>

#include "engine/kernels/cpu/conv2d.h"
#include "engine/kernels/cpu/conv_tail.h"
#include "engine/kernels/cpu/instantiate.h"
#include "engine/kernels/cpu/leaf/conv_tail.h"
#include "engine/kernels/cpu/streams.h"
#include "engine/kernels/cpu/sums.h"
#include "engine/kernels/cpu/winograd.h"
#include "engine/kernels/kernels.h"

namespace reprise::kernels::cpu {

template <class T>
void conv2d_tail_fwd(const Conv2dArgs& a, const ConvTailArgs& tail, View x, View w, View mean, View var,
                     View gamma, View beta, View residual, MutView y) {
  if (y.numel() == 0) return;
  if (a.groups > 1 || mean.dim(0) > 1 || winograd_applies<T>(a, w, y)) {
    conv2d_fwd<T>(a, x, w, y);
    conv_tail_fwd<T>(tail, {y.ptr, y.shape, y.dtype}, {}, mean, var, gamma, beta, residual, y, {});
    return;
  }
  const std::vector<float> scale = normal_scale(gamma, var, tail.eps);
  convolve<T>(a, x, w, y,
              {mean.data<float>(), scale.data(), beta.data<float>(), residual ? residual.data<T>() : nullptr,
               tail.relu});
}

// A chunk of the sums may begin in one unit of the convolution and end in another: the thread that makes the
// last of its pixels takes it.
template <class T>
void conv2d_stats_fwd(const Conv2dArgs& a, View x, View w, MutView y, MutView mean, MutView var) {
  if (a.groups > 1 || winograd_applies<T>(a, w, y)) {
    conv2d_fwd<T>(a, x, w, y);
    batch_norm_stats<T>({y.ptr, y.shape, y.dtype}, mean, var);
    return;
  }
  const GroupChunks z = GroupChunks::of_images(y.shape, mean.dim(0), sum_chunk);
  const std::int64_t c = z.channels;
  float* parts = partial_sums(z.total() * 3 * c);
  std::vector<std::atomic<std::int64_t>> missing(static_cast<std::size_t>(z.total()));
  for (std::int64_t k = 0; k < z.total(); ++k) missing[static_cast<std::size_t>(k)] = z.rows(k);
  convolve<T>(a, x, w, y, {}, [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t end = first + count; first < end;) {
      const std::int64_t k = z.chunk_of(first), made = std::min(end, z.begin(k) + z.rows(k)) - first;
      if (missing[static_cast<std::size_t>(k)].fetch_sub(made, std::memory_order_acq_rel) == made)
        chunk_moments(y.data<T>() + z.begin(k) * c, z.rows(k), c, parts + k * 3 * c);
      first += made;
    }
  });
  join_moments(z, parts, mean, var);
}

namespace {

template <class T>
void tail_bwd(const Conv2dArgs& conv, const ConvTailArgs& a, View b, View w, View dy, View positive,
              View mean, View var, View gamma, View dgamma, View dbeta, MutView dx, MutView dresidual,
              bool adds) {
  const std::int64_t c = dy.dim(3), group_pixels = dy.numel() / c / mean.dim(0);
  const std::vector<float> scale = normal_scale(gamma, var, a.eps);
  const InputGradient g = input_gradient(dgamma, dbeta, var, group_pixels, a.eps);
  const bool past = streams<T>(dresidual);
  convolve_back<T>(conv, dy, w, dx, adds, [&](std::int64_t first, std::int64_t count, T* out) {
    const ConvTailLeaf<T>& leaf = conv_tail_leaf<T>();
    for (std::int64_t end = first + count; first < end;) {
      const std::int64_t group = first / group_pixels, s = group * c,
                         n = std::min(end, (group + 1) * group_pixels) - first;
      const T* grads = dy.data<T>() + first * c;
      const std::uint8_t* bits = bits_at(positive, first);
      if (dresidual)
        leaf.grad_input_and_masked(b.data<T>() + first * c, grads, bits, mean.data<float>() + s,
                                   g.grad_mean.data() + s, g.slope.data() + s, scale.data() + s, out,
                                   dresidual.data<T>() + first * c, past, n, c);
      else
        leaf.grad_input(b.data<T>() + first * c, grads, bits, mean.data<float>() + s, g.grad_mean.data() + s,
                        g.slope.data() + s, scale.data() + s, out, false, n, c);
      out += n * c, first += n;
    }
  });
}

}  // namespace

template <class T>
void conv2d_tail_bwd(const Conv2dArgs& conv, const ConvTailArgs& a, View b, View w, View dy, View positive,
                     View mean, View var, View gamma, View dgamma, View dbeta, MutView dx,
                     MutView dresidual) {
  tail_bwd<T>(conv, a, b, w, dy, positive, mean, var, gamma, dgamma, dbeta, dx, dresidual, false);
}
template <class T>
void conv2d_tail_bwd_add(const Conv2dArgs& conv, const ConvTailArgs& a, View b, View w, View dy,
                         View positive, View mean, View var, View gamma, View dgamma, View dbeta, MutView dx,
                         MutView dresidual) {
  tail_bwd<T>(conv, a, b, w, dy, positive, mean, var, gamma, dgamma, dbeta, dx, dresidual, true);
}

REPRISE_CPU_KERNEL(conv2d_tail_fwd);
REPRISE_CPU_KERNEL(conv2d_stats_fwd);
REPRISE_CPU_KERNEL(conv2d_tail_bwd);
REPRISE_CPU_KERNEL(conv2d_tail_bwd_add);

}  // namespace reprise::kernels::cpu
