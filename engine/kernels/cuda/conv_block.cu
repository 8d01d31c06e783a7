// A convolution with its epilogue, fused, with the bits of its parts; see ../ref/conv_block.cpp.
// A kernel that gets a filter but not its output b computes b again, in memory of its own.
#include "engine/kernels/cuda/statistics.h"
#include "engine/kernels/cuda/windows.h"

namespace reprise::kernels::cuda {
namespace {

Conv2dArgs same_size(View filter) {
  return Conv2dArgs::same_size(filter.dim(0), filter.dim(1));
}

// b = depthwise(x, filter), in memory of its own; without a filter, x itself.
template <class T>
struct Filtered {
  Scratch scratch;
  View view;
  Filtered(View x, View filter)
      : scratch(filter ? static_cast<std::size_t>(x.numel()) * sizeof(T) : 0), view(x) {
    if (!filter) return;
    const MutView b{scratch.data(), x.shape, x.dtype};
    depthwise_fwd<T>(same_size(filter), x, filter, b);
    view = b;
  }
};

// The gradient before the activation: dy where it was open, else 0. Without one, dy.
template <class T, int V>
struct Gradient {
  const T* dy;
  const std::uint8_t* open;
  std::int64_t channels, bytes;
  Gradient(View dy_, View open_)
      : dy(dy_.data<T>()),
        open(open_.data<std::uint8_t>()),
        channels(dy_.shape[-1]),
        bytes((dy_.shape[-1] + 7) / 8) {}
  __device__ void load(std::int64_t row, unsigned c, float (&g)[V]) const {
    const auto values = load_vector<V>(dy + row * channels + c);
    const unsigned passes = open == nullptr ? 0xFF : open[row * bytes + c / 8] >> c % 8;
    for (int v = 0; v < V; ++v) g[v] = (passes >> v & 1) != 0 ? values[v] : 0;
  }
};

// Runs the filter, and takes the sums of batch_norm_stats of its output.
template <class T, int V>
void stats(View made, View filter, const BlockStatsOut& out) {
  const std::int64_t channels = made.dim(3);
  const Strips strips(made.dim(0), made.dim(1), made.dim(2), channels / V);
  const Slide<T, V> slide(made, filter, 1, 1, false);
  const double count = static_cast<double>(made.numel() / channels);
  float *mean = out.mean.data<float>(), *var = out.var.data<float>();
  T* b = out.b.data<T>();
  column_sums<2, V>(
      1, strips.count, channels / V,
      [=] __device__(unsigned, unsigned column) {
        const auto taps = slide.taps(column * V);
        return [=](std::int64_t i, double* sum) {
          const auto strip = strips.at(i);
          T* at = b + strips.pixel(strip, strip.first) * channels + column * V;
          slide.down(strip, taps, column * V, [&](const float(&values)[V]) {
            const auto stored = Vector<T, V>::of(values);
            store_vector(at, stored);
            at += strips.width * channels;
            for (int v = 0; v < V; ++v) add_to_statistics(stored[v], sum + 2 * v);
          });
        };
      },
      [=] __device__(std::int64_t c, const double* sum) { finish_statistics(sum, count, mean[c], var[c]); });
}

// Computes y from b. A thread takes eight channels, whose bits form one byte of `open`.
template <class T, int V>
void forward(const ConvBlockArgs& a, View b, const BlockFwdIn& in, const BlockFwdOut& out) {
  const unsigned channels = grid_size(b.shape[-1]), bytes = (channels + 7) / 8;
  const float eps = static_cast<float>(a.eps);
  const bool activates = a.activation != Activation::none;
  const float most = a.activation == Activation::relu6 ? 6 : INFINITY;
  const float *m = in.mean.data<float>(), *s = in.var.data<float>(), *scale = in.gamma.data<float>(),
              *shift = in.beta.data<float>();
  const T *x = b.data<T>(), *residual = in.residual.data<T>();
  T* y = out.y.data<T>();
  std::uint8_t* open = out.open.data<std::uint8_t>();
  each_in_columns(b.numel() / channels, bytes, [=] __device__(unsigned byte) {
    const unsigned c = byte * 8;
    const Normalized<8> normalized(m, s, scale, shift, c, channels, eps);
    return [=](std::int64_t row) {
      unsigned set = 0;
      for (int part = 0; part < 8 && c + part < channels; part += V) {
        const std::int64_t at = row * channels + c + part;
        const auto values = load_vector<V>(x + at);
        float result[V];
        for (int v = 0; v < V; ++v) result[v] = normalized(values[v], part + v);
        auto stored = Vector<T, V>::of(result);
        if (residual != nullptr) {
          const auto more = load_vector<V>(residual + at);
          for (int v = 0; v < V; ++v) result[v] = stored[v] + more[v];
          stored = Vector<T, V>::of(result);
        }
        for (int v = 0; v < V; ++v) {
          result[v] = !activates ? stored[v] : stored[v] < 0 ? 0 : stored[v] > most ? most : stored[v];
          set |= (result[v] > 0 && (result[v] < most || most > 6) ? 1u : 0u) << (part + v);
        }
        store_vector(y + at, Vector<T, V>::of(result));
      }
      if (open != nullptr) open[row * bytes + byte] = static_cast<std::uint8_t>(set);
    };
  });
}

// dgamma = sum g * (b - mean) / sqrt(var + eps),   dbeta = sum g
template <class T, int V>
void params(double eps, View b, const BlockParamsIn& in, const BlockParamsOut& out) {
  const std::int64_t channels = b.shape[-1];
  const Gradient<T, V> gradient(in.dy, in.open);
  const T* x = b.data<T>();
  const float *m = in.mean.data<float>(), *s = in.var.data<float>();
  float *dgamma = out.dgamma.data<float>(), *dbeta = out.dbeta.data<float>();
  column_sums<2, V>(
      1, b.numel() / channels, channels / V,
      [=] __device__(unsigned, unsigned column) {
        return [=](std::int64_t row, double* sum) {
          const unsigned c = column * V;
          const auto values = load_vector<V>(x + row * channels + c);
          float g[V];
          gradient.load(row, c, g);
          for (int v = 0; v < V; ++v) {
            const double d = static_cast<double>(g[v]), mean = static_cast<double>(m[c + v]);
            sum[2 * v] = fma(d, static_cast<double>(values[v]) - mean, sum[2 * v]);
            sum[2 * v + 1] += d;
          }
        };
      },
      [=] __device__(std::int64_t c, const double* sum) {
        dgamma[c] = static_cast<float>(sum[0] / sqrt(static_cast<double>(s[c]) + eps));
        dbeta[c] = static_cast<float>(sum[1]);
      });
}

// Computes dresidual, and batch norm's input gradient db, each if present.
template <class T, int V>
void gradients(float eps, View b, const BlockGradIn& in, MutView dresidual, T* db) {
  const std::int64_t channels = in.dy.shape[-1], rows = in.dy.numel() / channels;
  const float count = static_cast<float>(rows);
  const Gradient<T, V> gradient(in.dy, in.open);
  const T* x = b.data<T>();
  const float *m = in.mean.data<float>(), *s = in.var.data<float>(), *scale = in.gamma.data<float>(),
              *dgamma = in.dgamma.data<float>(), *dbeta = in.dbeta.data<float>();
  T* residual = dresidual.data<T>();
  each_in_columns(rows, channels / V, [=] __device__(unsigned column) {
    const unsigned c = column * V;
    const InputGradient<V> input_gradient(m, s, scale, dgamma, dbeta, c, count, eps);
    return [=](std::int64_t row) {
      const std::int64_t at = row * channels + c;
      float g[V];
      gradient.load(row, c, g);
      if (residual != nullptr) store_vector(residual + at, Vector<T, V>::of(g));
      if (db == nullptr) return;
      const auto values = x != nullptr ? load_vector<V>(x + at) : Vector<T, V>{};
      for (int v = 0; v < V; ++v) g[v] = input_gradient(values[v], g[v], v);
      store_vector(db + at, Vector<T, V>::of(g));
    };
  });
}

}  // namespace

template <class T>
void conv_block_stats(const ConvBlockArgs& a, const BlockStatsIn& in, const BlockStatsOut& out) {
  constexpr int V = statistics_channels;
  if (in.w) conv2d_fwd<T>(a.conv, in.x, in.w, out.made);
  const View made = in.w ? View(out.made) : in.x;
  if (!in.filter) return batch_norm_stats<T>(made, out.mean, out.var);
  if (slides<T, V>(same_size(in.filter), in.filter, made, out.b)) return stats<T, V>(made, in.filter, out);
  depthwise_fwd<T>(same_size(in.filter), made, in.filter, out.b);
  batch_norm_stats<T>(out.b, out.mean, out.var);
}

template <class T>
void conv_block_fwd(const ConvBlockArgs& a, const BlockFwdIn& in, const BlockFwdOut& out) {
  View b = in.x;
  if (in.w) {
    const MutView made = in.filter ? out.made : out.y;
    conv2d_fwd<T>(a.conv, in.x, in.w, made);
    b = made;
  }
  if (in.filter) {
    depthwise_fwd<T>(same_size(in.filter), b, in.filter, out.y);
    b = out.y;
  }
  const bool fits = fit_vectors<8>(b.shape[-1], b.data<T>(), in.residual.data<T>(), out.y.data<T>());
  fits ? forward<T, 8>(a, b, in, out) : forward<T, 1>(a, b, in, out);
}

template <class T>
void conv_block_bwd_params(const ConvBlockArgs& a, const BlockParamsIn& in, const BlockParamsOut& out) {
  const Filtered<T> b(in.x, in.filter);
  constexpr int V = vector_of<T>;
  const bool fits = fit_vectors<V>(in.dy.shape[-1], b.view.template data<T>(), in.dy.data<T>());
  fits ? params<T, V>(a.eps, b.view, in, out) : params<T, 1>(a.eps, b.view, in, out);
}

// The gradient db of batch norm's input goes to scratch memory if a filter or a 1x1 convolution
// needs it: several elements of dx depend on each of its values.
template <class T>
void conv_block_bwd(const ConvBlockArgs& a, bool accumulate, const BlockGradIn& in, const BlockGradOut& out) {
  constexpr int V = vector_of<T>;
  const bool wanted = out.dx || out.dfilter, goes_on = wanted && (in.filter || in.w);
  const Scratch scratch(goes_on ? static_cast<std::size_t>(in.dy.numel()) * sizeof(T) : 0);
  T* db = goes_on ? scratch.as<T>() : out.dx.data<T>();
  const Filtered<T> b(in.b ? in.b : in.x, wanted && in.dgamma && !in.b ? in.filter : View{});
  const View x = in.dgamma ? b.view : View{};
  const bool fits =
      fit_vectors<V>(in.dy.shape[-1], x.data<T>(), in.dy.data<T>(), db, out.dresidual.data<T>());
  const auto f = fits ? gradients<T, V> : gradients<T, 1>;
  f(static_cast<float>(a.eps), x, in, out.dresidual, db);
  const View made{db, in.dy.shape, in.dy.dtype};
  if (in.filter && out.dx) depthwise_dgrad<T>(same_size(in.filter), made, in.filter, out.dx);
  if (in.filter && out.dfilter) depthwise_wgrad<T>(same_size(in.filter), in.x, made, out.dfilter);
  if (in.w && out.dx) conv2d_dgrad<T>(a.conv, accumulate, made, in.w, out.dx);
}

REPRISE_CUDA_IMAGE_KERNEL(conv_block_stats);
REPRISE_CUDA_IMAGE_KERNEL(conv_block_fwd);
REPRISE_CUDA_IMAGE_KERNEL(conv_block_bwd_params);
REPRISE_CUDA_IMAGE_KERNEL(conv_block_bwd);

}  // namespace reprise::kernels::cuda
