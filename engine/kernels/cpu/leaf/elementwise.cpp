#include "engine/kernels/cpu/leaf/elementwise.h"

#include "engine/kernels/cpu/leaf/math.h"

namespace reprise::kernels::cpu::REPRISE_ISA {
namespace {

void relu_fwd(const float* x, float* y, std::int64_t n) {
  for_vectors(n, [&](std::int64_t i, auto part) {
    const Vec v = load(x + i, part);
    store(y + i, select(v < Vec{}, Vec{}, v), part);  // x < 0 ? 0 : x, so that NaN stays NaN
  });
}

void relu_bwd(const float* y, const float* dy, float* dx, std::int64_t n) {
  for_vectors(n, [&](std::int64_t i, auto part) {
    store(dx + i, select(load(y + i, part) > Vec{}, load(dy + i, part), Vec{}), part);
  });
}

void affine(float scale, float shift, const float* x, float* y, std::int64_t n) {
  for_vectors(n, [&](std::int64_t i, auto part) { store(y + i, load(x + i, part) * scale + shift, part); });
}

// Calls f with a function object of two vectors, so that the loop inside is made once per op.
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

void binary(BinaryOp op, const float* a, const float* b, float* y, std::int64_t n) {
  with_op(op, [&](auto apply) {
    for_vectors(n, [&](std::int64_t i, auto part) {
      store(y + i, apply(load(a + i, part), load(b + i, part)), part);
    });
  });
}

void binary_scalar(BinaryOp op, const float* a, float b, float* y, std::int64_t n) {
  const Vec second = broadcast(b);
  with_op(op, [&](auto apply) {
    for_vectors(n, [&](std::int64_t i, auto part) { store(y + i, apply(load(a + i, part), second), part); });
  });
}

void binary_channel(BinaryOp op, const float* a, const float* b, float* y, std::int64_t rows,
                    std::int64_t channels) {
  with_op(op, [&](auto apply) {
    for (std::int64_t r = 0; r < rows; ++r)
      for_vectors(channels, [&](std::int64_t c, auto part) {
        const std::int64_t i = r * channels + c;
        store(y + i, apply(load(a + i, part), load(b + c, part)), part);
      });
  });
}

template <class F>
void each_fwd(const float* x, float* y, std::int64_t n, F f) {
  for_vectors(n, [&](std::int64_t i, auto part) { store(y + i, f(load(x + i, part)), part); });
}

void unary_fwd(UnaryOp op, const float* x, float* y, std::int64_t n) {
  switch (op) {
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
  }
}

// dx = dy * derivative(v)
template <class F>
void each_bwd(const float* v, const float* dy, float* dx, std::int64_t n, F derivative) {
  for_vectors(n, [&](std::int64_t i, auto part) {
    store(dx + i, load(dy + i, part) * derivative(load(v + i, part)), part);
  });
}

void unary_bwd(UnaryOp op, const float* x, const float* y, const float* dy, float* dx, std::int64_t n) {
  switch (op) {
    case UnaryOp::exp:
      return each_bwd(y, dy, dx, n, [](Vec v) { return v; });
    case UnaryOp::log:
      return each_bwd(x, dy, dx, n, [](Vec v) { return 1.0f / v; });
    case UnaryOp::sqrt:
      return each_bwd(y, dy, dx, n, [](Vec v) { return 1.0f / (2.0f * v); });
    case UnaryOp::tanh:
      return each_bwd(y, dy, dx, n, [](Vec v) { return 1.0f - v * v; });
    case UnaryOp::sigmoid:
      return each_bwd(y, dy, dx, n, [](Vec v) { return v * (1.0f - v); });
  }
}

}  // namespace

extern const ElementwiseLeaf elementwise_leaf;
const ElementwiseLeaf elementwise_leaf{relu_fwd,      relu_bwd,       affine,    binary,
                                       binary_scalar, binary_channel, unary_fwd, unary_bwd};

}  // namespace reprise::kernels::cpu::REPRISE_ISA
