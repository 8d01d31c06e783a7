// Four ways to launch: a thread per element, a thread per element of a row, threads that go down
// columns, and sums per channel by a fixed tree. Only the shape decides how work is divided, so
// results are equal on any device.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "engine/kernels/cuda/number.h"
#include "engine/kernels/cuda/runtime.h"
#include "engine/kernels/kernels.h"

// REPRISE_LAUNCH is for kernels whose threads never wait for each other, REPRISE_LAUNCH_BLOCKS for
// those with __syncthreads(). nvcc treats both alike; the tests' emulation runs the former faster.
#if defined(__CUDACC__)
#define REPRISE_LAUNCH(kernel, grid, block, ...)                                 \
  do {                                                                           \
    kernel<<<grid, block, 0, ::reprise::kernels::cuda::stream()>>>(__VA_ARGS__); \
    ::reprise::kernels::cuda::check_launch();                                    \
  } while (false)
#define REPRISE_LAUNCH_BLOCKS REPRISE_LAUNCH
#define REPRISE_DEVICE_PRAGMA(text) _Pragma(#text)
#else
#define REPRISE_DEVICE_PRAGMA(text)
#endif

namespace reprise::kernels::cuda {

inline constexpr int block_threads = 256;
inline constexpr int multiprocessors = 132;  // of a large GPU; with fewer, results are the same
inline constexpr int gpu_blocks = 4 * multiprocessors;

inline unsigned blocks_for(std::int64_t n, std::int64_t per_block) {
  constexpr std::int64_t most = 1 << 20;  // beyond this many, each thread loops over several elements
  const std::int64_t blocks = (n + per_block - 1) / per_block;
  return static_cast<unsigned>(blocks < most ? blocks : most);
}

template <class F>
__global__ void element_kernel(std::int64_t n, F f) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += step)
    f(i);
}

// Calls f(i) for each i of [0,n).
template <class F>
void each_element(std::int64_t n, F f) {
  if (n <= 0) return;
  const dim3 grid(blocks_for(n, block_threads)), block(block_threads);
  REPRISE_LAUNCH(element_kernel, grid, block, n, f);
}

template <class F>
__global__ void row_kernel(std::int64_t rows, std::int64_t inner, F f) {
  const std::int64_t row_step = static_cast<std::int64_t>(gridDim.x) * blockDim.y;
  const std::int64_t inner_step = static_cast<std::int64_t>(gridDim.y) * blockDim.x;
  for (std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y; row < rows;
       row += row_step)
    for (std::int64_t j = static_cast<std::int64_t>(blockIdx.y) * blockDim.x + threadIdx.x; j < inner;
         j += inner_step)
      f(row, j);
}

// Calls f(row, j) for each row of [0,rows) and j of [0,inner); neighbouring threads differ in j.
template <class F>
void each_in_rows(std::int64_t rows, std::int64_t inner, F f) {
  if (rows <= 0 || inner <= 0) return;
  unsigned wide = 1;
  while (wide < block_threads && wide < inner) wide *= 2;
  const unsigned high = block_threads / wide;
  const unsigned across = blocks_for(inner, wide);
  const dim3 grid(blocks_for(rows, high), across < 65535 ? across : 65535), block(wide, high);
  REPRISE_LAUNCH(row_kernel, grid, block, rows, inner, f);
}

template <class Make>
__global__ void __launch_bounds__(block_threads, 2)
    column_kernel(std::int64_t rows, unsigned columns, Make make) {
  const unsigned column = blockIdx.y * blockDim.x + threadIdx.x;
  if (column >= columns) return;
  const auto f = make(column);
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.y;
  for (std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y; row < rows;
       row += step)
    f(row);
}

// Calls make(column)(row) for each row of [0,rows) and column of [0,columns). A thread calls make
// once and goes down its column, so make may compute what all rows share.
template <class Make>
void each_in_columns(std::int64_t rows, std::int64_t columns, Make make) {
  if (rows <= 0 || columns <= 0) return;
  unsigned wide = 1;
  while (wide < block_threads && wide < columns) wide *= 2;
  const unsigned high = block_threads / wide, across = blocks_for(columns, wide),
                 down = blocks_for(rows, high), most = gpu_blocks / across;
  const dim3 grid(down < most ? down : most > 0 ? most : 1, across), block(wide, high);
  const auto kernel = column_kernel<Make>;
  REPRISE_LAUNCH(kernel, grid, block, rows, static_cast<unsigned>(columns), make);
}

// Divides terms (groups, count, columns) for sums over `count`. A block of 256 threads, `wide`
// columns times `high` lanes, adds one chunk of `rows` terms of one group.
struct SumShape {
  std::int64_t count, rows;
  unsigned columns, wide, high, tiles, chunks;
  SumShape(std::int64_t groups, std::int64_t count_, std::int64_t columns_, unsigned widest)
      : count(count_), columns(grid_size(columns_)), wide(1) {
    while (wide < widest && wide < columns) wide *= 2;
    high = block_threads / wide;
    tiles = (columns + wide - 1) / wide;
    const std::int64_t fit = gpu_blocks / (groups * tiles), most_chunks = fit < 1 ? 1 : fit;
    const std::int64_t terms = (count + most_chunks - 1) / most_chunks;  // per chunk
    rows = terms < 1 ? high : (terms + high - 1) / high * high;
    chunks = count == 0 ? 1 : static_cast<unsigned>((count + rows - 1) / rows);
  }
};

// Adds the lanes of a block as a tree. Lane 0 receives the totals. Several values share a barrier.
template <int N>
__device__ inline void add_lanes(const SumShape& z, unsigned lane, double (&sum)[N]) {
  constexpr int passes = (N + 19) / 20, part = (N + passes - 1) / passes;
  __shared__ double lanes[part][block_threads];
  const unsigned thread = threadIdx.x;
  REPRISE_DEVICE_PRAGMA(unroll)
  for (int first = 0; first < N; first += part) {
    for (int k = first; k < first + part && k < N; ++k) lanes[k - first][thread] = sum[k];
    for (unsigned half = z.high / 2; half > 0; half /= 2) {
      __syncthreads();
      if (lane < half)
        for (int k = first; k < first + part && k < N; ++k) {
          sum[k] += lanes[k - first][thread + half * z.wide];
          lanes[k - first][thread] = sum[k];
        }
    }
    __syncthreads();
  }
}

// Blocks that have stored their chunk, for each tile of each group. Only sums of several chunks
// count, and those have at most gpu_blocks tiles. The last block leaves a 0.
static __device__ unsigned arrived[gpu_blocks];

// Returns to all threads of a block whether all others of its tile have stored their chunk.
__device__ inline bool is_last(unsigned* count, unsigned chunks) {
  __shared__ bool last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) last = atomicInc(count, chunks - 1) == chunks - 1;
  __syncthreads();
  __threadfence();
  return last;
}

// A block adds its chunk. The last block of a tile adds the chunks' sums, in an order that does
// not depend on which block is last.
template <int K, int V, class Make, class Finish>
__global__ void __launch_bounds__(block_threads, 2)
    sum_kernel(SumShape z, Make make, Finish finish, double* partial) {
  const unsigned tile = blockIdx.x % z.tiles, group = blockIdx.x / z.tiles, chunk = blockIdx.y;
  const unsigned lane = threadIdx.x / z.wide, column = tile * z.wide + threadIdx.x % z.wide;
  double sum[K * V] = {};
  if (column < z.columns) {
    const auto add = make(group, column);
    const std::int64_t last = (chunk + 1) * z.rows, end = last < z.count ? last : z.count;
    for (std::int64_t i = chunk * z.rows + lane; i < end; i += z.high) add(i, sum);
  }
  add_lanes(z, lane, sum);
  if (z.chunks > 1) {
    const std::size_t step = std::size_t{z.columns} * (K * V);
    double* at = partial + group * z.chunks * step + column * (K * V);
    if (lane == 0 && column < z.columns)
      for (int k = 0; k < K * V; ++k) at[chunk * step + k] = sum[k];
    if (!is_last(&arrived[blockIdx.x], z.chunks)) return;
    for (int k = 0; k < K * V; ++k) sum[k] = 0;
    if (column < z.columns)
      for (unsigned other = lane; other < z.chunks; other += z.high)
        for (int k = 0; k < K * V; ++k) sum[k] += at[other * step + k];
    add_lanes(z, lane, sum);
  }
  if (lane == 0 && column < z.columns)
    for (int v = 0; v < V; ++v)
      finish((static_cast<std::int64_t>(group) * z.columns + column) * V + v, sum + v * K);
}

// Computes K sums over i of [0,count), in double, for each group and channel, V channels a column.
// make(group, column)(i, sum) adds the i-th terms of the column's channel v to sum[v*K, v*K + K).
// finish(group * channels + channel, sum) receives a channel's K totals.
template <int K, int V, class Make, class Finish>
void column_sums(std::int64_t groups, std::int64_t count, std::int64_t columns, Make make, Finish finish) {
  if (groups <= 0 || columns <= 0) return;
  const SumShape z(groups, count, columns, V == 1 ? 32 : 64 / V);
  const std::size_t totals = static_cast<std::size_t>(groups * columns) * (K * V);
  const Scratch scratch(z.chunks > 1 ? totals * z.chunks * sizeof(double) : 0);
  const dim3 grid(grid_size(groups * z.tiles), z.chunks), block(block_threads);
  const auto kernel = sum_kernel<K, V, Make, Finish>;
  REPRISE_LAUNCH_BLOCKS(kernel, grid, block, z, make, finish, scratch.as<double>());
}

// The same, one channel a column: map(group, i, channel, sum) adds the i-th terms to sum[0,K).
template <int K, class Map, class Finish>
void channel_sums(std::int64_t groups, std::int64_t count, std::int64_t channels, Map map, Finish finish) {
  column_sums<K, 1>(
      groups, count, channels,
      [=] __device__(std::int64_t group, std::int64_t c) {
        return [=](std::int64_t i, double* sum) { map(group, i, c, sum); };
      },
      finish);
}

}  // namespace reprise::kernels::cuda

// Instantiates a kernel for f32, and a kernel on images also for bf16, as kernels.def claims.
#define REPRISE_CUDA_KERNEL(name) template decltype(name<float>) name<float>
#define REPRISE_CUDA_IMAGE_KERNEL(name) \
  REPRISE_CUDA_KERNEL(name);            \
  template decltype(name<BFloat16>) name<BFloat16>
