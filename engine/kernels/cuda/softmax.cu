// Softmax, losses and argmax along each row of (M,C), defined in ../ref/softmax.cpp.
// Each row has a block of threads, which joins sums and maxima as a tree.
#include "engine/kernels/cuda/launch.h"

namespace reprise::kernels::cuda {
namespace {

constexpr int row_threads = 128;

// Returns the sum of all threads' values to every thread of the block.
__device__ inline float block_sum(float value) {
  __shared__ float lanes[row_threads];
  const int thread = static_cast<int>(threadIdx.x);
  lanes[thread] = value;
  __syncthreads();
  for (int half = row_threads / 2; half > 0; half /= 2) {
    if (thread < half) lanes[thread] += lanes[thread + half];
    __syncthreads();
  }
  const float total = lanes[0];
  __syncthreads();  // the next call reuses the lanes
  return total;
}

// Returns the maximum of all threads' values, ignoring NaN.
// A NaN in the row still reaches the result, through exp(x - maximum).
__device__ inline float block_max(float value) {
  __shared__ float lanes[row_threads];
  const int thread = static_cast<int>(threadIdx.x);
  lanes[thread] = value;
  __syncthreads();
  for (int half = row_threads / 2; half > 0; half /= 2) {
    if (thread < half) lanes[thread] = fmaxf(lanes[thread], lanes[thread + half]);
    __syncthreads();
  }
  const float largest = lanes[0];
  __syncthreads();
  return largest;
}

__device__ inline float row_max(const float* x, std::int64_t n) {
  float largest = -INFINITY;
  for (std::int64_t c = threadIdx.x; c < n; c += row_threads) largest = fmaxf(largest, x[c]);
  return block_max(largest);
}

__device__ inline float row_sum_of_exp(const float* x, std::int64_t n, float largest) {
  float sum = 0;
  for (std::int64_t c = threadIdx.x; c < n; c += row_threads) sum += expf(x[c] - largest);
  return block_sum(sum);
}

__global__ void softmax_fwd_kernel(std::int64_t n, const float* x, float* y) {
  const std::int64_t at = static_cast<std::int64_t>(blockIdx.x) * n;
  const float largest = row_max(x + at, n), sum = row_sum_of_exp(x + at, n, largest);
  for (std::int64_t c = threadIdx.x; c < n; c += row_threads) y[at + c] = expf(x[at + c] - largest) / sum;
}

__global__ void softmax_bwd_kernel(std::int64_t n, const float* y, const float* dy, float* dx) {
  const std::int64_t at = static_cast<std::int64_t>(blockIdx.x) * n;
  float dot = 0;
  for (std::int64_t c = threadIdx.x; c < n; c += row_threads) dot += dy[at + c] * y[at + c];
  dot = block_sum(dot);
  for (std::int64_t c = threadIdx.x; c < n; c += row_threads) dx[at + c] = y[at + c] * (dy[at + c] - dot);
}

__global__ void log_softmax_fwd_kernel(std::int64_t n, const float* x, float* y) {
  const std::int64_t at = static_cast<std::int64_t>(blockIdx.x) * n;
  const float largest = row_max(x + at, n), log_sum = logf(row_sum_of_exp(x + at, n, largest));
  for (std::int64_t c = threadIdx.x; c < n; c += row_threads) y[at + c] = x[at + c] - largest - log_sum;
}

__global__ void log_softmax_bwd_kernel(std::int64_t n, const float* y, const float* dy, float* dx) {
  const std::int64_t at = static_cast<std::int64_t>(blockIdx.x) * n;
  float sum = 0;
  for (std::int64_t c = threadIdx.x; c < n; c += row_threads) sum += dy[at + c];
  sum = block_sum(sum);
  for (std::int64_t c = threadIdx.x; c < n; c += row_threads) dx[at + c] = dy[at + c] - expf(y[at + c]) * sum;
}

// Returns whether (v, place a) beats (w, place b) as the first maximum; place -1 means none.
__device__ inline bool before(float v, std::int64_t a, float w, std::int64_t b) {
  if (a < 0 || b < 0) return a >= 0;
  return v > w || (v == w && a < b);
}

// A NaN in first place wins and any other is ignored, as in a search that compares by v > best.
__global__ void argmax_kernel(std::int64_t n, const float* x, std::int64_t* y) {
  __shared__ float value[row_threads];
  __shared__ std::int64_t place[row_threads];
  const int thread = static_cast<int>(threadIdx.x);
  const float* row = x + static_cast<std::int64_t>(blockIdx.x) * n;
  float best = 0;
  std::int64_t at = -1;
  for (std::int64_t c = thread; c < n; c += row_threads) {
    float v = row[c];
    if (v != v && c > 0) continue;
    if (v != v) v = INFINITY;
    if (before(v, c, best, at)) {
      best = v;
      at = c;
    }
  }
  value[thread] = best;
  place[thread] = at;
  __syncthreads();
  for (int half = row_threads / 2; half > 0; half /= 2) {
    if (thread < half && before(value[thread + half], place[thread + half], value[thread], place[thread])) {
      value[thread] = value[thread + half];
      place[thread] = place[thread + half];
    }
    __syncthreads();
  }
  if (thread == 0) y[blockIdx.x] = place[0];
}

// Returns the grid for one block per row; 0 if there is nothing to do.
unsigned rows_grid(const Shape& x) {
  return x[1] == 0 ? 0 : grid_size(x[0]);
}

}  // namespace

template <class T>
void softmax_fwd(View x, MutView y) {
  const unsigned grid = rows_grid(x.shape);
  if (grid == 0) return;
  REPRISE_LAUNCH_BLOCKS(softmax_fwd_kernel, dim3(grid), dim3(row_threads), x.dim(1), x.data<T>(),
                        y.data<T>());
}

template <class T>
void softmax_bwd(View y, View dy, MutView dx) {
  const unsigned grid = rows_grid(y.shape);
  if (grid == 0) return;
  REPRISE_LAUNCH_BLOCKS(softmax_bwd_kernel, dim3(grid), dim3(row_threads), y.dim(1), y.data<T>(),
                        dy.data<T>(), dx.data<T>());
}

template <class T>
void log_softmax_fwd(View x, MutView y) {
  const unsigned grid = rows_grid(x.shape);
  if (grid == 0) return;
  REPRISE_LAUNCH_BLOCKS(log_softmax_fwd_kernel, dim3(grid), dim3(row_threads), x.dim(1), x.data<T>(),
                        y.data<T>());
}

template <class T>
void log_softmax_bwd(View y, View dy, MutView dx) {
  const unsigned grid = rows_grid(y.shape);
  if (grid == 0) return;
  REPRISE_LAUNCH_BLOCKS(log_softmax_bwd_kernel, dim3(grid), dim3(row_threads), y.dim(1), y.data<T>(),
                        dy.data<T>(), dx.data<T>());
}

// loss = mean over n of -log_probs[n, labels[n]]
// Labels on the device are not checked beforehand: one outside the classes makes the loss NaN.
template <class T>
void nll_fwd(View log_probs, View labels, MutView loss) {
  const std::int64_t rows = log_probs.dim(0), n = log_probs.dim(1);
  const T* in = log_probs.data<T>();
  const std::int64_t* label = labels.data<std::int64_t>();
  T* out = loss.data<T>();
  channel_sums<1>(
      1, rows, 1,
      [=] __device__(std::int64_t, std::int64_t row, std::int64_t, double* sum) {
        const std::int64_t c = label[row];
        sum[0] -= c >= 0 && c < n ? static_cast<double>(in[row * n + c]) : static_cast<double>(NAN);
      },
      [=] __device__(std::int64_t, const double* sum) {
        *out = static_cast<T>(sum[0] / static_cast<double>(rows));
      });
}

// dlogits = (softmax - onehot(label)) * dloss / rows
template <class T>
void cross_entropy_bwd(View log_probs, View labels, View dloss, MutView dlogits) {
  const std::int64_t rows = log_probs.dim(0), n = log_probs.dim(1);
  const T *in = log_probs.data<T>(), *grad = dloss.data<T>();
  const std::int64_t* label = labels.data<std::int64_t>();
  T* out = dlogits.data<T>();
  each_in_rows(rows, n, [=] __device__(std::int64_t row, std::int64_t c) {
    const T scale = *grad / static_cast<T>(rows);
    const T onehot = c == label[row] ? T(1) : T(0);
    out[row * n + c] = (expf(in[row * n + c]) - onehot) * scale;
  });
}

template <class T>
void argmax_rows(View x, MutView y) {
  const unsigned grid = rows_grid(x.shape);
  if (grid == 0) return;
  REPRISE_LAUNCH_BLOCKS(argmax_kernel, dim3(grid), dim3(row_threads), x.dim(1), x.data<T>(),
                        y.data<std::int64_t>());
}

REPRISE_CUDA_KERNEL(softmax_fwd);
REPRISE_CUDA_KERNEL(softmax_bwd);
REPRISE_CUDA_KERNEL(log_softmax_fwd);
REPRISE_CUDA_KERNEL(log_softmax_bwd);
REPRISE_CUDA_KERNEL(nll_fwd);
REPRISE_CUDA_KERNEL(cross_entropy_bwd);
REPRISE_CUDA_KERNEL(argmax_rows);

}  // namespace reprise::kernels::cuda
