// Sums and norms, defined in ../ref/reduce.cpp. Sums are taken in double, by a fixed tree.
#include "engine/kernels/cuda/list.h"
#include "engine/kernels/norm.h"

namespace reprise::kernels::cuda {
namespace {

// A tensor of `rows` rows of n values. A row is summed in `chunks` chunks of `length` values, one
// block each; their sums begin at parts[first_part]. norms[first_row] is the first row's norm.
template <class T>
struct NormItem {
  const T* x;
  std::int64_t rows, n, chunks, length, first_row, first_part;
  std::int64_t blocks() const { return rows * chunks; }
};

template <class T>
__global__ void norm_parts_kernel(const __grid_constant__ List<NormItem<T>> list, bool l1, double* parts) {
  __shared__ double lanes[block_threads];
  const int at = list.item_of(blockIdx.x), thread = static_cast<int>(threadIdx.x);
  const NormItem<T> p = list.items[at];
  const std::int64_t part = blockIdx.x - list.first_block(at), row = part / p.chunks;
  const std::int64_t begin = part % p.chunks * p.length;
  const std::int64_t end = begin + p.length < p.n ? begin + p.length : p.n;
  double sum = 0;
  for (std::int64_t i = begin + thread; i < end; i += block_threads) {
    const double v = static_cast<double>(p.x[row * p.n + i]);
    sum += l1 ? fabs(v) : v * v;
  }
  lanes[thread] = sum;
  __syncthreads();
  for (int half = block_threads / 2; half > 0; half /= 2) {
    if (thread < half) lanes[thread] += lanes[thread + half];
    __syncthreads();
  }
  if (thread == 0) parts[p.first_part + part] = lanes[0];
}

// Finishes the list's norms and adds them to y. One block.
template <class T>
__global__ void norm_finish_kernel(const __grid_constant__ List<NormItem<T>> list, bool l1, bool first,
                                   const double* parts, double* norms, T* y) {
  __shared__ T of_item[List<NormItem<T>>::most];
  const int thread = static_cast<int>(threadIdx.x), last = list.count - 1;
  const std::int64_t begin = list.items[0].first_row;
  const std::int64_t rows = list.items[last].first_row + list.items[last].rows - begin;
  for (std::int64_t r = thread; r < rows; r += block_threads) {
    int at = last;
    while (list.items[at].first_row > begin + r) --at;
    const NormItem<T> p = list.items[at];
    double sum = 0;
    for (std::int64_t c = 0; c < p.chunks; ++c)
      sum += parts[p.first_part + (begin + r - p.first_row) * p.chunks + c];
    norms[begin + r] = l1 ? sum : sqrt(sum);
  }
  __syncthreads();
  for (int k = thread; k < list.count; k += block_threads) {
    double sum = 0;
    for (std::int64_t r = 0; r < list.items[k].rows; ++r) sum += norms[list.items[k].first_row + r];
    of_item[k] = static_cast<T>(sum);
  }
  __syncthreads();
  if (thread != 0) return;
  T total = first ? of_item[0] : *y + of_item[0];
  for (int k = 1; k < list.count; ++k) total += of_item[k];
  *y = total;
}

}  // namespace

template <class T>
void sum_all(View x, MutView y) {
  const T* in = x.data<T>();
  float* out = y.data<float>();
  channel_sums<1>(
      1, x.numel(), 1,
      [=] __device__(std::int64_t, std::int64_t i, std::int64_t, double* sum) {
        sum[0] += static_cast<double>(value_of(in[i]));
      },
      [=] __device__(std::int64_t, const double* sum) { out[0] = static_cast<float>(sum[0]); });
}

// y[c] = sum of x[...,c]
template <class T>
void sum_rows(View x, MutView y) {
  const std::int64_t channels = y.numel(), rows = channels == 0 ? 0 : x.numel() / channels;
  const T* in = x.data<T>();
  float* out = y.data<float>();
  channel_sums<1>(
      1, rows, channels,
      [=] __device__(std::int64_t, std::int64_t i, std::int64_t c, double* sum) {
        sum[0] += static_cast<double>(value_of(in[i * channels + c]));
      },
      [=] __device__(std::int64_t c, const double* sum) { out[c] = static_cast<float>(sum[0]); });
}

template <class T>
void norm_fwd(const NormArgs& a, Views x, MutView norms, MutView y) {
  constexpr std::int64_t least_length = 4096, most_chunks = 64;
  const bool l1 = a.kind == NormKind::l1;
  std::vector<NormItem<T>> items;
  std::int64_t row = 0, part = 0;
  for (const View& v : x) {
    const std::int64_t rows = norm_rows(a.kind, v.shape), n = rows == 0 ? 0 : v.numel() / rows;
    const std::int64_t share = (n + most_chunks - 1) / most_chunks;
    const std::int64_t length = share < least_length ? least_length : share;
    const std::int64_t chunks = n == 0 ? 1 : (n + length - 1) / length;
    items.push_back({v.data<T>(), rows, n, chunks, length, row, part});
    row += rows, part += rows * chunks;
  }
  const Scratch scratch(static_cast<std::size_t>(part) * sizeof(double));
  double *parts = scratch.as<double>(), *norm = norms.data<double>();
  T* out = y.data<T>();
  const dim3 block(block_threads);
  for_lists(items, [&](const List<NormItem<T>>& list, unsigned blocks) {
    const bool first = list.items[0].first_part == 0;
    const dim3 grid(blocks), one(1);
    REPRISE_LAUNCH_BLOCKS(norm_parts_kernel<T>, grid, block, list, l1, parts);
    REPRISE_LAUNCH_BLOCKS(norm_finish_kernel<T>, one, block, list, l1, first, parts, norm, out);
  });
}

template <class T>
void norm_bwd(const NormArgs& a, View x, View norms, View dy, MutView dx) {
  const std::int64_t rows = norms.numel(), n = rows == 0 ? 0 : x.numel() / rows;
  const bool l1 = a.kind == NormKind::l1;
  const T *in = x.data<T>(), *grad = dy.data<T>();
  const auto* norm = norms.data<double>();
  T* out = dx.data<T>();
  each_in_rows(rows, n, [=] __device__(std::int64_t row, std::int64_t j) {
    const NormGradient gradient{l1, static_cast<double>(grad[0])};
    out[row * n + j] = static_cast<T>(gradient(static_cast<double>(in[row * n + j]), norm[row]));
  });
}

REPRISE_CUDA_IMAGE_KERNEL(sum_all);
REPRISE_CUDA_IMAGE_KERNEL(sum_rows);
REPRISE_CUDA_KERNEL(norm_fwd);
REPRISE_CUDA_KERNEL(norm_bwd);

}  // namespace reprise::kernels::cuda
