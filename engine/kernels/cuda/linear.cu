// Linear layers and matrix products, defined in ../ref/linear.cpp:
// by cuBLASLt, or by the plain kernel below if it has no algorithm.
#include "engine/kernels/cuda/launch.h"
#include "engine/kernels/cuda/libraries.h"

namespace reprise::kernels::cuda {
namespace {

constexpr int tile = 16;

// Computes a tile of y per block. Tiles of a and b pass through shared memory in the order of k.
__global__ void product_kernel(Product p, std::int64_t tiles_n) {
  __shared__ float of_a[tile][tile + 1], of_b[tile][tile + 1];
  const int i = static_cast<int>(threadIdx.y), j = static_cast<int>(threadIdx.x);
  const std::int64_t first_m = blockIdx.x / tiles_n * tile, first_n = blockIdx.x % tiles_n * tile;
  const std::int64_t m = first_m + i, n = first_n + j;
  float sum = 0;
  for (std::int64_t first_k = 0; first_k < p.k; first_k += tile) {
    const std::int64_t ka = first_k + j, kb = first_k + i;
    of_a[i][j] = m < p.m && ka < p.k ? p.a[p.transpose_a ? ka * p.m + m : m * p.k + ka] : 0.0f;
    of_b[i][j] = n < p.n && kb < p.k ? p.b[p.transpose_b ? n * p.k + kb : kb * p.n + n] : 0.0f;
    __syncthreads();
    const std::int64_t left = p.k - first_k;
    const int depth = left < tile ? static_cast<int>(left) : tile;
    for (int k = 0; k < depth; ++k) sum += of_a[i][k] * of_b[k][j];
    __syncthreads();
  }
  if (m < p.m && n < p.n) p.y[m * p.n + n] = p.bias != nullptr ? sum + p.bias[n] : sum;
}

void product(const Product& p) {
  if (p.m == 0 || p.n == 0) return;
  if (p.k != 0 && libraries_wanted() && cublas_product(p)) return;
  const std::int64_t tiles_m = (p.m + tile - 1) / tile, tiles_n = (p.n + tile - 1) / tile;
  const dim3 grid(grid_size(tiles_m * tiles_n)), block(tile, tile);
  REPRISE_LAUNCH_BLOCKS(product_kernel, grid, block, p, tiles_n);
}

}  // namespace

template <class T>
void linear_fwd(View x, View w, View b, MutView y) {
  product({x.dim(0), w.dim(0), w.dim(1), false, true, x.data<T>(), w.data<T>(), b.data<T>(), y.data<T>()});
}

template <class T>
void linear_dgrad(View dy, View w, MutView dx) {
  product({dy.dim(0), w.dim(1), w.dim(0), false, false, dy.data<T>(), w.data<T>(), nullptr, dx.data<T>()});
}

template <class T>
void linear_wgrad(View x, View dy, MutView dw) {
  product({dw.dim(0), dw.dim(1), x.dim(0), true, false, dy.data<T>(), x.data<T>(), nullptr, dw.data<T>()});
}

// db = the sum of dy's rows, taken in double.
template <class T>
void linear_bgrad(View dy, MutView db) {
  const std::int64_t out = db.dim(0);
  const T* grad = dy.data<T>();
  T* sums = db.data<T>();
  channel_sums<1>(
      1, dy.dim(0), out,
      [=] __device__(std::int64_t, std::int64_t i, std::int64_t o, double* sum) {
        sum[0] += static_cast<double>(grad[i * out + o]);
      },
      [=] __device__(std::int64_t k, const double* sum) { sums[k] = static_cast<T>(sum[0]); });
}

template <class T>
void matmul(const MatmulArgs& args, View a, View b, MutView y) {
  product({y.dim(0), y.dim(1), a.dim(args.transpose_a ? 0 : 1), args.transpose_a, args.transpose_b,
           a.data<T>(), b.data<T>(), nullptr, y.data<T>()});
}

REPRISE_CUDA_KERNEL(linear_fwd);
REPRISE_CUDA_KERNEL(linear_dgrad);
REPRISE_CUDA_KERNEL(linear_wgrad);
REPRISE_CUDA_KERNEL(linear_bgrad);
REPRISE_CUDA_KERNEL(matmul);

}  // namespace reprise::kernels::cuda
