// Three ways to launch: a thread per element, a thread per element of a row, and sums per channel
// by a fixed tree. Only the shape decides how work is divided, so results are equal on any device.
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
#endif

namespace reprise::kernels::cuda {

inline constexpr int block_threads = 256;

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

// Divides values (groups, count, channels) for sums over `count`. A block of 256 threads,
// `wide` channels times `high` lanes, sums one chunk of `rows` values of one group.
struct SumShape {
  std::int64_t groups, count, channels;
  std::int64_t tiles, chunks, rows;
  int wide, high;
  SumShape(std::int64_t groups_, std::int64_t count_, std::int64_t channels_)
      : groups(groups_), count(count_), channels(channels_), wide(1) {
    constexpr std::int64_t most_blocks = 4096, least_per_lane = 8;
    while (wide < 32 && wide < channels) wide *= 2;
    high = block_threads / wide;
    tiles = (channels + wide - 1) / wide;
    // Enough blocks to fill a GPU, few enough that the partial sums stay small.
    std::int64_t most_chunks = most_blocks / (groups * tiles);
    most_chunks = most_chunks < 1 ? 1 : most_chunks > 128 ? 128 : most_chunks;
    rows = (count + most_chunks - 1) / most_chunks;
    if (rows < high * least_per_lane) rows = high * least_per_lane;
    chunks = count == 0 ? 0 : (count + rows - 1) / rows;
  }
};

// Sums one chunk: each thread adds its lane's values in order, then a tree adds the lanes.
template <int K, class Map>
__global__ void sum_kernel(SumShape z, Map map, double* partial) {
  __shared__ double lanes[block_threads];
  const std::int64_t id = blockIdx.x;
  const std::int64_t tile = id % z.tiles, chunk = id / z.tiles % z.chunks, group = id / z.tiles / z.chunks;
  const int thread = static_cast<int>(threadIdx.x), lane = thread / z.wide;
  const std::int64_t c = tile * z.wide + thread % z.wide;
  double sum[K];
  for (int k = 0; k < K; ++k) sum[k] = 0;
  if (c < z.channels) {
    const std::int64_t last = (chunk + 1) * z.rows, end = last < z.count ? last : z.count;
    for (std::int64_t i = chunk * z.rows + lane; i < end; i += z.high) map(group, i, c, sum);
  }
  for (int k = 0; k < K; ++k) {
    lanes[thread] = sum[k];
    __syncthreads();
    for (int half = z.high / 2; half > 0; half /= 2) {
      if (lane < half) lanes[thread] += lanes[thread + half * z.wide];
      __syncthreads();
    }
    if (lane == 0 && c < z.channels)
      partial[((group * z.chunks + chunk) * z.channels + c) * K + k] = lanes[thread];
    __syncthreads();
  }
}

// Computes K sums over i of [0,count), in double, for each group g and channel c. map(g, i, c, sum)
// adds the i-th terms to sum[0..K); finish(g * channels + c, sum) receives the totals.
template <int K, class Map, class Finish>
void channel_sums(std::int64_t groups, std::int64_t count, std::int64_t channels, Map map, Finish finish) {
  if (groups <= 0 || channels <= 0) return;
  const SumShape z(groups, count, channels);
  const Scratch scratch(static_cast<std::size_t>(groups * z.chunks * channels * K) * sizeof(double));
  double* partial = scratch.as<double>();
  if (z.chunks > 0) {
    const dim3 grid(grid_size(z.tiles * z.chunks * groups)), block(block_threads);
    const auto kernel = sum_kernel<K, Map>;
    REPRISE_LAUNCH_BLOCKS(kernel, grid, block, z, map, partial);
  }
  const std::int64_t chunks = z.chunks;
  each_element(groups * channels, [=] __device__(std::int64_t i) {
    const std::int64_t group = i / channels, c = i % channels;
    double sum[K];
    for (int k = 0; k < K; ++k) sum[k] = 0;
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk)
      for (int k = 0; k < K; ++k) sum[k] += partial[((group * chunks + chunk) * channels + c) * K + k];
    finish(i, sum);
  });
}

}  // namespace reprise::kernels::cuda

// Instantiates a kernel for f32, and a kernel on images also for bf16, as kernels.def claims.
#define REPRISE_CUDA_KERNEL(name) template decltype(name<float>) name<float>
#define REPRISE_CUDA_IMAGE_KERNEL(name) \
  REPRISE_CUDA_KERNEL(name);            \
  template decltype(name<BFloat16>) name<BFloat16>
