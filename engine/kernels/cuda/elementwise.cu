// Elementwise kernels, defined in ../ref/unary.cpp, binary.cpp and images.cpp.
#include "engine/kernels/cuda/launch.h"

namespace reprise::kernels::cuda {
namespace {

// Returns the standard normal distribution's share below x.
__device__ inline float below(float x) {
  return erfcf(-x * 0.70710678f) / 2;
}

// UnaryArgs in a form that kernels take by value.
struct Unary {
  UnaryOp op;
  float low, high;
};

__device__ inline float apply(Unary a, float x) {
  switch (a.op) {
    case UnaryOp::relu:  // NaN stays NaN
      return x < 0 ? 0 : x;
    case UnaryOp::relu6:
    case UnaryOp::clamp:
      return x < a.low ? a.low : x > a.high ? a.high : x;
    case UnaryOp::exp:
      return expf(x);
    case UnaryOp::log:
      return logf(x);
    case UnaryOp::sqrt:
      return sqrtf(x);
    case UnaryOp::tanh:
      return tanhf(x);
    case UnaryOp::sigmoid:
      return 1 / (1 + expf(-x));
    case UnaryOp::gelu:
      return x * below(x);
  }
  return x;
}

// Returns dx, computed from x (log, clamp, gelu) or from y (all others).
__device__ inline float gradient(Unary a, float x, float y, float dy) {
  switch (a.op) {
    case UnaryOp::relu:
      return y > 0 ? dy : 0;
    case UnaryOp::relu6:
      return y > a.low && y < a.high ? dy : 0;
    case UnaryOp::clamp:
      return x >= a.low && x <= a.high ? dy : 0;
    case UnaryOp::exp:
      return dy * y;
    case UnaryOp::log:
      return dy * (1 / x);
    case UnaryOp::sqrt:
      return dy * (1 / (2 * y));
    case UnaryOp::tanh:
      return dy * (1 - y * y);
    case UnaryOp::sigmoid:
      return dy * (y * (1 - y));
    case UnaryOp::gelu:
      return dy * (below(x) + x * expf(-x * x / 2) * 0.39894228f);
  }
  return dy;
}

__device__ inline float apply(BinaryOp op, float a, float b) {
  switch (op) {
    case BinaryOp::add:
      return a + b;
    case BinaryOp::sub:
      return a - b;
    case BinaryOp::mul:
      return a * b;
    case BinaryOp::div:
      return a / b;
  }
  return a;
}

// NormalizeArgs in a form that kernels take by value.
struct Normalize {
  float mean[4], std[4];
};

}  // namespace

template <class T>
void unary_fwd(const UnaryArgs& a, View x, MutView y) {
  const Unary f{a.op, static_cast<float>(a.low), static_cast<float>(a.high)};
  const T* in = x.data<T>();
  T* out = y.data<T>();
  each_element(x.numel(), [=] __device__(std::int64_t i) { store(out[i], apply(f, value_of(in[i]))); });
}

// Of x and y, the one that the gradient does not use may be absent.
template <class T>
void unary_bwd(const UnaryArgs& a, View x, View y, View dy, MutView dx) {
  const Unary f{a.op, static_cast<float>(a.low), static_cast<float>(a.high)};
  const T *at_x = x.data<T>(), *at_y = y.data<T>(), *grad = dy.data<T>();
  T* out = dx.data<T>();
  each_element(dy.numel(), [=] __device__(std::int64_t i) {
    const float v = at_x != nullptr ? value_of(at_x[i]) : 0, w = at_y != nullptr ? value_of(at_y[i]) : 0;
    store(out[i], gradient(f, v, w, value_of(grad[i])));
  });
}

// y = a op b. A broadcast b is a parameter, so it is float.
template <class T>
void binary(const BinaryArgs& args, View a, View b, MutView y) {
  const BinaryOp op = args.op;
  const T* left = a.data<T>();
  T* out = y.data<T>();
  if (args.broadcast == Broadcast::none) {
    const T* right = b.data<T>();
    each_element(a.numel(), [=] __device__(std::int64_t i) {
      store(out[i], apply(op, value_of(left[i]), value_of(right[i])));
    });
    return;
  }
  const float* row_of_b = b.data<float>();
  if (args.broadcast == Broadcast::scalar) {
    each_element(a.numel(), [=] __device__(std::int64_t i) {
      store(out[i], apply(op, value_of(left[i]), row_of_b[0]));
    });
    return;
  }
  const std::int64_t channels = b.numel(), rows = channels == 0 ? 0 : a.numel() / channels;
  each_in_rows(rows, channels, [=] __device__(std::int64_t row, std::int64_t c) {
    const std::int64_t i = row * channels + c;
    store(out[i], apply(op, value_of(left[i]), row_of_b[c]));
  });
}

template <class T>
void affine(const AffineArgs& a, View x, MutView y) {
  const float scale = static_cast<float>(a.scale), shift = static_cast<float>(a.shift);
  const T* in = x.data<T>();
  T* out = y.data<T>();
  each_element(x.numel(), [=] __device__(std::int64_t i) { store(out[i], scale * value_of(in[i]) + shift); });
}

// y[...,c] = x[c], or x[0] everywhere if x has one value. x is float.
template <class T>
void expand(View x, MutView y) {
  const std::int64_t channels = x.numel(), rows = channels == 0 ? 0 : y.numel() / channels;
  const float* in = x.data<float>();
  T* out = y.data<T>();
  if (channels == 1) {
    each_element(y.numel(), [=] __device__(std::int64_t i) { store(out[i], in[0]); });
    return;
  }
  each_in_rows(rows, channels,
               [=] __device__(std::int64_t row, std::int64_t c) { store(out[row * channels + c], in[c]); });
}

// Converts from any floating-point dtype to T.
template <class T>
void cast(View x, MutView y) {
  T* out = y.data<T>();
  if (x.dtype == DType::bf16) {
    const BFloat16* in = x.data<BFloat16>();
    each_element(x.numel(), [=] __device__(std::int64_t i) { store(out[i], value_of(in[i])); });
  } else if (x.dtype == DType::f64) {
    const double* in = x.data<double>();
    each_element(x.numel(), [=] __device__(std::int64_t i) { store(out[i], static_cast<float>(in[i])); });
  } else {
    const float* in = x.data<float>();
    each_element(x.numel(), [=] __device__(std::int64_t i) { store(out[i], in[i]); });
  }
}

// y[n] = (u[rows[n]]/255 - mean[c]) / std[c]
template <class T>
void normalize_images(const NormalizeArgs& a, View images, View rows, MutView y) {
  const std::int64_t channels = images.dim(3), image = images.dim(1) * images.dim(2) * channels;
  Normalize z;
  for (std::size_t c = 0; c < 4; ++c) {
    z.mean[c] = a.mean[c];
    z.std[c] = a.std[c];
  }
  const std::uint8_t* in = images.data<std::uint8_t>();
  const std::int64_t* row = rows.data<std::int64_t>();
  T* out = y.data<T>();
  each_in_rows(y.dim(0), image, [=] __device__(std::int64_t n, std::int64_t j) {
    const unsigned c = static_cast<unsigned>(j) % static_cast<unsigned>(channels);
    const float u = static_cast<float>(in[(row == nullptr ? n : row[n]) * image + j]);
    store(out[n * image + j], (u / 255 - z.mean[c]) / z.std[c]);
  });
}

REPRISE_CUDA_IMAGE_KERNEL(unary_fwd);
REPRISE_CUDA_IMAGE_KERNEL(unary_bwd);
REPRISE_CUDA_IMAGE_KERNEL(binary);
REPRISE_CUDA_IMAGE_KERNEL(affine);
REPRISE_CUDA_IMAGE_KERNEL(expand);
REPRISE_CUDA_IMAGE_KERNEL(cast);
REPRISE_CUDA_IMAGE_KERNEL(normalize_images);

}  // namespace reprise::kernels::cuda
