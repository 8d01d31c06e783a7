// Convolutions by cuDNN and matrix products by cuBLASLt, both loaded at first use.
// Each function returns false if the library has nothing for the case. Our plain kernel then runs,
// which is counted as a fallback and is an Error in strict mode.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/core/dtype.h"
#include "engine/core/shape.h"
#include "engine/kernels/args.h"

namespace reprise::kernels::cuda {

// Returns whether to use the libraries: true unless REPRISE_CUDA_LIBRARIES=0.
bool libraries_wanted();

// One pass of a convolution with x (N,H,W,C), w (O,R,S,I), y (N,OH,OW,O).
// fwd writes y, dgrad x, wgrad w. All three are f32, or all bf16 with sums in f32 (not in wgrad).
// `tf32` lets f32 operands be rounded to TF32, which changes nothing where they hold bf16 values.
enum class ConvPass : std::uint8_t { fwd, dgrad, wgrad };
struct Convolution {
  ConvPass pass;
  Conv2dArgs args;
  DType dtype;
  bool tf32;
  Shape x_shape, w_shape, y_shape;
  void *x, *w, *y;
};
bool cudnn_convolution(const Convolution& c);

// y[m,n] = sum_k a[m,k] b[k,n] + bias[n], row-major, f32.
// A transposed operand is stored with its two dimensions swapped. bias may be null.
struct Product {
  std::int64_t m, n, k;
  bool transpose_a, transpose_b;
  const float *a, *b, *bias;
  float* y;
};
bool cublas_product(const Product& p);

// A shared library, loaded at run time and never unloaded.
class Library {
 public:
  // Loads the first of `names` that exists. Throws Error if none does;
  // its text says what the library computes (`purpose`) and what to install (`package`).
  Library(const std::string& library, const std::vector<std::string>& names, const std::string& purpose,
          const std::string& package);
  // Sets `function` to the address of `symbol`. Throws Error if the library lacks it.
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
