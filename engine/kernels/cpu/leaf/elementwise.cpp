#include "engine/kernels/cpu/leaf/elementwise.h"

#include "engine/kernels/cpu/leaf/math.h"

namespace reprise::kernels::cpu::REPRISE_ISA {
namespace {

template <class T>
void affine(float scale, float shift, const T* x, T* y, std::int64_t n) {
  for_vectors(n, [&](std::int64_t i, auto part) { store(y + i, load(x + i, part) * scale + shift, part); });
}

// Calls f with the op as a function of two vectors, so that the loop in f is compiled once per op.
template <class F>
void with_op(BinaryOp op, F f) {
  switch (op) {
    case BinaryOp::add:
      return f([](Vec a, Vec b) { return a + b; });
    case BinaryOp::sub:
      return f([](Vec a, Vec b) { return a - b; });
    case BinaryOp::mul:
      return f([](Vec a, Vec b) { return a * b; });
    case BinaryOp::div:
      return f([](Vec a, Vec b) { return a / b; });
  }
}

template <class T>
void binary(BinaryOp op, const T* a, const T* b, T* y, std::int64_t n) {
  with_op(op, [&](auto apply) {
    for_vectors(n, [&](std::int64_t i, auto part) {
      prefetch_output(y + i);
      store(y + i, apply(load(a + i, part), load(b + i, part)), part);
    });
  });
}

template <class T>
void binary_scalar(BinaryOp op, const T* a, float b, T* y, std::int64_t n) {
  const Vec second = broadcast(b);
  with_op(op, [&](auto apply) {
    for_vectors(n, [&](std::int64_t i, auto part) { store(y + i, apply(load(a + i, part), second), part); });
  });
}

template <class T>
void binary_channel(BinaryOp op, const T* a, const float* b, T* y, std::int64_t rows, std::int64_t channels) {
  with_op(op, [&](auto apply) {
    for (std::int64_t r = 0; r < rows; ++r)
      for_vectors(channels, [&](std::int64_t c, auto part) {
        const std::int64_t i = r * channels + c;
        store(y + i, apply(load(a + i, part), load(b + c, part)), part);
      });
  });
}

template <class T, class F>
void each_fwd(const T* x, T* y, std::int64_t n, F f) {
  for_vectors(n, [&](std::int64_t i, auto part) { store(y + i, f(load(x + i, part)), part); });
}

template <class T>
void unary_fwd(const UnaryArgs& a, const T* x, T* y, std::int64_t n) {
  const Vec low = broadcast(static_cast<float>(a.low)), high = broadcast(static_cast<float>(a.high));
  switch (a.op) {
    case UnaryOp::relu:  // NaN stays NaN
      return each_fwd(x, y, n, [](Vec v) { return select(v < Vec{}, Vec{}, v); });
    case UnaryOp::relu6:
    case UnaryOp::clamp:
      return each_fwd(x, y, n, [=](Vec v) { return select(v < low, low, select(v > high, high, v)); });
    case UnaryOp::exp:
      return each_fwd(x, y, n, [](Vec v) { return exp_of(v); });
    case UnaryOp::log:
      return each_fwd(x, y, n, [](Vec v) { return log_of(v); });
    case UnaryOp::sqrt:
      return each_fwd(x, y, n, [](Vec v) { return square_root(v); });
    case UnaryOp::tanh:
      return each_fwd(x, y, n, [](Vec v) { return tanh_of(v); });
    case UnaryOp::sigmoid:
      return each_fwd(x, y, n, [](Vec v) { return sigmoid_of(v); });
    case UnaryOp::gelu:
      return each_fwd(x, y, n, [](Vec v) { return v * normal_of(v).below; });
  }
}

// dx = gradient(v, dy)
template <class T, class F>
void each_bwd(const T* v, const T* dy, T* dx, std::int64_t n, F gradient) {
  for_vectors(n, [&](std::int64_t i, auto part) {
    store(dx + i, gradient(load(v + i, part), load(dy + i, part)), part);
  });
}

template <class T>
void unary_bwd(const UnaryArgs& a, const T* x, const T* y, const T* dy, T* dx, std::int64_t n) {
  const Vec low = broadcast(static_cast<float>(a.low)), high = broadcast(static_cast<float>(a.high));
  switch (a.op) {
    case UnaryOp::relu:
      return each_bwd(y, dy, dx, n, [](Vec v, Vec g) { return select(v > Vec{}, g, Vec{}); });
    case UnaryOp::relu6:
      return each_bwd(y, dy, dx, n, [=](Vec v, Vec g) { return select((v > low) & (v < high), g, Vec{}); });
    case UnaryOp::clamp:
      return each_bwd(x, dy, dx, n, [=](Vec v, Vec g) { return select((v >= low) & (v <= high), g, Vec{}); });
    case UnaryOp::exp:
      return each_bwd(y, dy, dx, n, [](Vec v, Vec g) { return g * v; });
    case UnaryOp::log:
      return each_bwd(x, dy, dx, n, [](Vec v, Vec g) { return g * (1.0f / v); });
    case UnaryOp::sqrt:
      return each_bwd(y, dy, dx, n, [](Vec v, Vec g) { return g * (1.0f / (2.0f * v)); });
    case UnaryOp::tanh:
      return each_bwd(y, dy, dx, n, [](Vec v, Vec g) { return g * (1.0f - v * v); });
    case UnaryOp::sigmoid:
      return each_bwd(y, dy, dx, n, [](Vec v, Vec g) { return g * (v * (1.0f - v)); });
    case UnaryOp::gelu:
      return each_bwd(x, dy, dx, n, [](Vec v, Vec g) {
        const auto [below, density] = normal_of(v);
        return g * (below + v * density);
      });
  }
}

template <class From, class To>
void convert(const From* x, To* y, std::int64_t n) {
  for_vectors(n, [&](std::int64_t i, auto part) { store(y + i, load(x + i, part), part); });
}

}  // namespace

REPRISE_LEAF_TABLES(ElementwiseLeaf, elementwise_leaf, affine, binary, binary_scalar, binary_channel,
                    unary_fwd, unary_bwd, convert, convert);

}  // namespace reprise::kernels::cpu::REPRISE_ISA
