// Pooling over (N,H,W,C), defined in ../ref/pool.cpp.
// Output (p,q) covers the rows p*sh - ph + r and the columns q*sw - pw + s.
#include "engine/kernels/cuda/launch.h"
#include "engine/kernels/cuda/windows.h"

namespace reprise::kernels::cuda {
namespace {

// Returns an average's divisor: the window's size, or the number of its pixels inside the image.
// Of a sum: 1.
__device__ inline std::int64_t divisor(const Windows& z, bool divides, bool count_padding, std::int64_t p,
                                       std::int64_t q) {
  if (!divides) return 1;
  if (count_padding) return z.taps_h * z.taps_w;
  std::int64_t inside = 0;
  for (std::int64_t r = 0; r < z.taps_h; ++r)
    for (std::int64_t s = 0; s < z.taps_w; ++s) inside += z.pixel(p, q, r, s) >= 0 ? 1 : 0;
  return inside;
}

// A thread goes down a column of y, V channels of an output column.
template <class T, int V>
void max_forward(const Windows& z, View x, MutView y, MutView tap) {
  const unsigned channels = grid_size(x.dim(3)), height = grid_size(z.height), width = grid_size(z.width),
                 oh = grid_size(z.oh), ow = grid_size(z.ow);
  const T* in = x.data<T>();
  T* out = y.data<T>();
  std::uint8_t* winner = tap.data<std::uint8_t>();
  each_in_columns(grid_size(y.dim(0) * oh), std::int64_t{ow} * (channels / V), [=] __device__(unsigned j) {
    const unsigned q = j / (channels / V), c = j % (channels / V) * V;
    const int left = static_cast<int>(q * z.sw - z.pw);
    return [=](std::int64_t at) {
      const unsigned row = static_cast<unsigned>(at), n = row / oh, p = row % oh;
      const int top = static_cast<int>(p * z.sh - z.ph);
      const T* image = in + n * (static_cast<std::size_t>(height) * width * channels) + c;
      float best[V] = {};
      Vector<std::uint8_t, V> best_tap{};
      bool any = false;
      for (int r = 0; r < z.taps_h; ++r)
        for (int s = 0; s < z.taps_w; ++s) {
          const unsigned h = static_cast<unsigned>(top + r), w = static_cast<unsigned>(left + s);
          if (h >= height || w >= width) continue;
          const auto values = load_vector<V>(image + (h * width + w) * channels);
          for (int v = 0; v < V; ++v) {
            const float value = values[v];
            if (any && !(value > best[v]) && (best[v] != best[v] || value == value)) continue;
            best[v] = value;
            best_tap.at[v] = static_cast<std::uint8_t>(r * z.taps_w + s);
          }
          any = true;
        }
      const std::size_t to = (std::size_t{row} * ow + q) * channels + c;
      store_vector(out + to, Vector<T, V>::of(best));
      store_vector(winner + to, best_tap);
    };
  });
}

// The outputs [first, last] along an axis whose windows hold a position, given with padding added.
struct Covering {
  unsigned first, last;
  __device__ Covering(unsigned at, unsigned taps, unsigned stride, unsigned outputs)
      : first(at < taps ? 0 : (at - taps) / stride + 1),
        last(at / stride < outputs ? at / stride : outputs - 1) {}
};

// A thread goes down a column of dx and visits only the windows that hold the pixel: at most four
// if windows of three taps move by two.
template <class T, int V>
void max_backward(const Windows& z, View dy, View tap, MutView dx) {
  const unsigned channels = grid_size(dx.dim(3)), height = grid_size(z.height), width = grid_size(z.width),
                 oh = grid_size(z.oh), ow = grid_size(z.ow);
  const unsigned taps_h = grid_size(z.taps_h), taps_w = grid_size(z.taps_w), sh = grid_size(z.sh),
                 sw = grid_size(z.sw), ph = grid_size(z.ph), pw = grid_size(z.pw);
  const T* grad = dy.data<T>();
  const std::uint8_t* winner = tap.data<std::uint8_t>();
  T* out = dx.data<T>();
  each_in_columns(
      grid_size(dx.dim(0) * height), std::int64_t{width} * (channels / V), [=] __device__(unsigned j) {
        const unsigned w = j / (channels / V), c = j % (channels / V) * V;
        const Covering across(w + pw, taps_w, sw, ow);
        return [=](std::int64_t at) {
          const unsigned row = static_cast<unsigned>(at), n = row / height, h = row % height;
          const Covering down(h + ph, taps_h, sh, oh);
          float sum[V] = {};
          for (unsigned p = down.last + 1; p-- > down.first;)
            for (unsigned q = across.last + 1; q-- > across.first;) {
              const unsigned here = (h + ph - p * sh) * taps_w + (w + pw - q * sw);
              const std::size_t from = ((std::size_t{n} * oh + p) * ow + q) * channels + c;
              const auto winners = load_vector<V>(winner + from);
              const auto grads = load_vector<V>(grad + from);
              for (int v = 0; v < V; ++v)
                if (winners.at[v] == here) sum[v] += grads[v];
            }
          store_vector(out + (std::size_t{row} * width + w) * channels + c, Vector<T, V>::of(sum));
        };
      });
}

}  // namespace

// Of equal maxima the first wins. NaN wins over every number.
template <class T>
void max_pool2d_fwd(const Pool2dArgs& a, View x, MutView y, MutView tap) {
  const bool fits = fit_vectors<8>(x.dim(3), x.data<T>(), y.data<T>(), tap.data<std::uint8_t>());
  (fits ? max_forward<T, 8> : max_forward<T, 1>)(Windows(x.shape, y.shape, a), x, y, tap);
}

// dx = the sum of dy over the windows in which this pixel was the maximum
template <class T>
void max_pool2d_bwd(const Pool2dArgs& a, View dy, View tap, MutView dx) {
  const bool fits = fit_vectors<8>(dx.dim(3), dx.data<T>(), dy.data<T>(), tap.data<std::uint8_t>());
  (fits ? max_backward<T, 8> : max_backward<T, 1>)(Windows(dx.shape, dy.shape, a), dy, tap, dx);
}

template <class T>
void avg_pool2d_fwd(const Pool2dArgs& a, View x, MutView y) {
  const Windows z(x.shape, y.shape, a);
  const bool count_padding = a.count_include_pad, divides = a.divides;
  const std::int64_t channels = x.dim(3);
  const T* in = x.data<T>();
  T* out = y.data<T>();
  each_in_rows(y.dim(0) * z.oh, z.ow * channels, [=] __device__(std::int64_t row, std::int64_t j) {
    const std::int64_t n = row / z.oh, p = row % z.oh, q = j / channels, c = j % channels;
    float sum = 0;
    for (std::int64_t r = 0; r < z.taps_h; ++r)
      for (std::int64_t s = 0; s < z.taps_w; ++s) {
        const std::int64_t pixel = z.pixel(p, q, r, s);
        if (pixel >= 0) sum += value_of(in[(n * z.height * z.width + pixel) * channels + c]);
      }
    store(out[row * z.ow * channels + j], sum / static_cast<float>(divisor(z, divides, count_padding, p, q)));
  });
}

template <class T>
void avg_pool2d_bwd(const Pool2dArgs& a, View dy, MutView dx) {
  const Windows z(dx.shape, dy.shape, a);
  const bool count_padding = a.count_include_pad, divides = a.divides;
  const std::int64_t channels = dx.dim(3);
  const T* grad = dy.data<T>();
  T* out = dx.data<T>();
  each_in_rows(dx.dim(0) * z.height, z.width * channels, [=] __device__(std::int64_t row, std::int64_t j) {
    const std::int64_t n = row / z.height, h = row % z.height, v = j / channels, c = j % channels;
    float sum = 0;
    for (std::int64_t r = 0; r < z.taps_h; ++r)
      for (std::int64_t s = 0; s < z.taps_w; ++s) {
        const std::int64_t output = z.output(h, v, r, s);
        if (output < 0) continue;
        sum += value_of(grad[(n * z.oh * z.ow + output) * channels + c]) /
               static_cast<float>(divisor(z, divides, count_padding, output / z.ow, output % z.ow));
      }
    store(out[row * z.width * channels + j], sum);
  });
}

// y[n,c] = sum_{h,w} x[n,h,w,c] / (H*W), the sum taken in double; y is float
template <class T>
void global_avg_pool_fwd(View x, MutView y) {
  const std::int64_t pixels = x.dim(1) * x.dim(2), channels = x.dim(3);
  const T* in = x.data<T>();
  float* out = y.data<float>();
  channel_sums<1>(
      x.dim(0), pixels, channels,
      [=] __device__(std::int64_t n, std::int64_t i, std::int64_t c, double* sum) {
        sum[0] += static_cast<double>(value_of(in[(n * pixels + i) * channels + c]));
      },
      [=] __device__(std::int64_t k, const double* sum) {
        out[k] = static_cast<float>(sum[0] / static_cast<double>(pixels));
      });
}

template <class T>
void global_avg_pool_bwd(View dy, MutView dx) {
  const std::int64_t pixels = dx.dim(1) * dx.dim(2), channels = dx.dim(3);
  const float* grad = dy.data<float>();
  T* out = dx.data<T>();
  each_in_rows(dx.dim(0), pixels * channels, [=] __device__(std::int64_t n, std::int64_t j) {
    const unsigned c = static_cast<unsigned>(j) % static_cast<unsigned>(channels);
    store(out[n * pixels * channels + j], grad[n * channels + c] / static_cast<float>(pixels));
  });
}

REPRISE_CUDA_IMAGE_KERNEL(max_pool2d_fwd);
REPRISE_CUDA_IMAGE_KERNEL(max_pool2d_bwd);
REPRISE_CUDA_IMAGE_KERNEL(avg_pool2d_fwd);
REPRISE_CUDA_IMAGE_KERNEL(avg_pool2d_bwd);
REPRISE_CUDA_IMAGE_KERNEL(global_avg_pool_fwd);
REPRISE_CUDA_IMAGE_KERNEL(global_avg_pool_bwd);

}  // namespace reprise::kernels::cuda
