// The products that NVIDIA's libraries compute: convolutions by cuDNN, matrices by cuBLASLt, both loaded at
// first use. Each answers false where it cannot serve (then our own plain kernel runs) and throws Error where
// it fails.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/core/dtype.h"
#include "engine/core/shape.h"
#include "engine/kernels/args.h"

namespace reprise::kernels::cuda {

// The libraries are on unless REPRISE_CUDA_LIBRARIES=0.
bool libraries_wanted();

// x (N,H,W,C), w (O,R,S,I), y (N,OH,OW,O); the one that the pass computes is written, the others are read.
// All f32, or, but for wgrad, all bf16 with sums in f32.
enum class ConvPass : std::uint8_t { fwd, dgrad, wgrad };
struct Convolution {
  ConvPass pass;
  Conv2dArgs args;
  DType dtype;
  Shape x_shape, w_shape, y_shape;
  void *x, *w, *y;
};
bool cudnn_convolution(const Convolution& c);

// y[m,n] = sum_k a[m,k] b[k,n] + bias[n], row-major, f32. A transposed operand is stored with its two sizes
// swapped; bias may be null.
struct Product {
  std::int64_t m, n, k;
  bool transpose_a, transpose_b;
  const float *a, *b, *bias;
  float* y;
};
bool cublas_product(const Product& p);

// A shared library that is loaded when it is first needed.
class Library {
 public:
  // Tries the names in turn; `purpose` ("convolutions") and `package` go into the Error.
  Library(const std::string& library, const std::vector<std::string>& names, const std::string& purpose,
          const std::string& package);
  template <class F>
  void find(F& function, const char* symbol) const {
    function = reinterpret_cast<F>(address(symbol));
  }

 private:
  void* address(const char* symbol) const;
  void* handle_ = nullptr;
  std::string library_;
};

}  // namespace reprise::kernels::cuda
