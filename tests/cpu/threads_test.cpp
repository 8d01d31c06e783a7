// Kernels give the same bits for any number of threads, and large ones have work for all threads.
#include <gtest/gtest.h>

#include <cstring>

#include "engine/base/parallel.h"
#include "engine/base/random.h"
#include "engine/core/tensor.h"
#include "engine/kernels/cpu/base/sums.h"
#include "engine/kernels/cpu/conv/bf16_order.h"
#include "engine/kernels/cpu/conv/tap_plan.h"
#include "engine/kernels/kernels.h"

namespace reprise::kernels {
namespace {

Tensor random_tensor(const Shape& shape, std::uint64_t seed) {
  Tensor t = empty(shape);
  RandomStream random(seed, "threads_test");
  float* p = t.mutable_data<float>();
  for (std::int64_t i = 0; i < t.numel(); ++i) p[i] = static_cast<float>(random.normal());
  return t;
}

// Expects equal bits in `out` when f fills it with 1, 2, 5 and 16 threads.
template <class F>
void expect_same_bits(Tensor& out, F f) {
  set_thread_count(1);
  f();
  const Tensor first = out.clone();
  for (int threads : {2, 5, 16}) {
    set_thread_count(threads);
    f();
    EXPECT_EQ(std::memcmp(first.raw_bytes().data(), out.raw_bytes().data(), out.bytes()), 0)
        << threads << " threads";
  }
  set_thread_count(0);
}

TEST(CpuThreads, SumsOverChunks) {
  const Shape shape{6, 33, 40, 35};  // several chunks, the last one short
  const Tensor x = random_tensor(shape, 1), dy = random_tensor(shape, 2);
  Tensor mean = empty({35}), var = empty({35}), dgamma = empty({35}), dbeta = empty({35});
  Tensor dw = empty({3, 3, 35}), rows = empty({35}), total = empty({});
  Conv2dArgs conv;
  conv.padding = {1, 1};
  conv.groups = 35;
  expect_same_bits(mean, [&] { cpu::batch_norm_stats<float>(x.view(), mean.mut_view(), var.mut_view()); });
  expect_same_bits(var, [&] { cpu::batch_norm_stats<float>(x.view(), mean.mut_view(), var.mut_view()); });
  expect_same_bits(dgamma, [&] {
    cpu::batch_norm_bwd_params<float>({}, x.view(), dy.view(), mean.view(), var.view(), dgamma.mut_view(),
                                      dbeta.mut_view());
  });
  expect_same_bits(dw, [&] { cpu::depthwise_wgrad<float>(conv, x.view(), dy.view(), dw.mut_view()); });
  expect_same_bits(rows, [&] { cpu::sum_rows<float>(x.view(), rows.mut_view()); });
  expect_same_bits(total, [&] { cpu::sum_all<float>(x.view(), total.mut_view()); });
}

// Few and many images, read in place and copied, whole and divided into rows.
struct Conv {
  std::int64_t n, size, c, o, kernel;
  int stride;
};
const Conv convs[] = {{1, 14, 64, 256, 1, 1}, {1, 7, 1024, 96, 1, 1}, {3, 29, 64, 40, 1, 2},
                      {1, 41, 3, 64, 7, 2},   {5, 20, 24, 70, 3, 1},  {9, 7, 48, 33, 3, 1}};

template <class T>
void expect_same_convolutions() {
  for (const Conv& k : convs) {
    SCOPED_TRACE(k.size);
    Conv2dArgs args;
    const int padding = static_cast<int>(k.kernel / 2);
    args.stride = {k.stride, k.stride}, args.padding = {padding, padding};
    const std::int64_t out = args.out_size(0, k.size, k.kernel);
    const Tensor x = random_tensor({k.n, k.size, k.size, k.c}, 1).to(dtype_of<T>);
    const Tensor w = random_tensor({k.o, k.kernel, k.kernel, k.c}, 2).sealed_copy();
    Tensor y = empty({k.n, out, out, k.o}, dtype_of<T>), dx = empty(x.shape(), dtype_of<T>),
           mean = empty({k.o}), var = empty({k.o});
    expect_same_bits(y, [&] { cpu::conv2d_fwd<T>(args, x.view(), w.view(), y.mut_view()); });
    expect_same_bits(dx, [&] { cpu::conv2d_dgrad<T>(args, false, y.view(), w.view(), dx.mut_view()); });
    expect_same_bits(var, [&] {
      cpu::conv_block_stats<T>({.conv = args}, {x.view(), w.view(), {}},
                               {y.mut_view(), {}, mean.mut_view(), var.mut_view()});
    });
  }
}

TEST(CpuThreads, Convolutions) {
  expect_same_convolutions<float>();
  for (const cpu::Bf16Order order : {cpu::Bf16Order::pairs, cpu::Bf16Order::blocks}) {
    const cpu::Bf16Order before = cpu::bf16_order();
    cpu::set_bf16_order(order);
    expect_same_convolutions<BFloat16>();
    cpu::set_bf16_order(before);
  }
}

cpu::TapPlan plan(std::int64_t n, const Conv& k, std::int64_t block) {
  cpu::TapConv<float> t;
  t.n = n, t.h = t.w = k.size, t.in_channels = t.c = k.c, t.o = k.o;
  t.stride_h = t.stride_w = k.stride, t.row_origin = t.col_origin = -(k.kernel / 2);
  for (std::int64_t i = 0; i < k.kernel; ++i) t.rows.push_back(i), t.cols.push_back(i);
  t.oh = t.ow = (k.size - 1) / k.stride + 1;
  t.out_pixel = k.o, t.out_row = t.ow * t.out_pixel, t.out_image = t.oh * t.out_row;
  return cpu::make_plan(t, block);
}

// Three rows of it are 369 MB.
TEST(CpuThreads, ARowLargerThanAnyCacheIsAUnit) {
  const cpu::TapPlan p = plan(1, {1, 60'000, 512, 16, 3, 1}, 16);
  EXPECT_EQ(p.rows, 1);
  EXPECT_EQ(p.row_units, 60'000);
}

// A convolution of ResNet-50 with fewer pieces of work than threads would leave a thread idle.
TEST(CpuThreads, EveryThreadHasWork) {
  const auto jobs = [](std::int64_t n, const Conv& k, std::int64_t block) {
    const cpu::TapPlan p = plan(n, k, block);
    return p.image_units * p.row_units * p.block_units;
  };
  for (const int threads : {1, 2, 3, 8, 16, 64}) {
    set_thread_count(threads);
    for (const Conv& k : {Conv{32, 56, 64, 256, 1, 1},
                          {32, 14, 1024, 256, 1, 1},
                          {32, 7, 2048, 512, 1, 1},
                          {32, 7, 512, 2048, 1, 1},
                          {32, 14, 1024, 2048, 1, 2},
                          {32, 7, 512, 512, 3, 1},
                          {16, 28, 512, 128, 1, 1},
                          {1, 14, 256, 1024, 1, 1},
                          {1, 224, 3, 64, 7, 2},
                          {1, 56, 256, 512, 1, 2}})
      for (const std::int64_t block : {16, 32})  // outputs, of AVX2 and AVX-512
        EXPECT_GE(jobs(k.n, k, block), threads)
            << k.n << " images, " << k.size << " pixels, " << threads << " threads, " << block;
  }
  set_thread_count(0);
}

// Sums over a training step's images have a chunk for each of 16 threads.
TEST(CpuThreads, SumsHaveChunksForAll) {
  for (const Shape& x :
       {Shape{32, 8, 8, 64}, {32, 16, 16, 32}, {32, 7, 7, 512}, {32, 56, 56, 64}, {90, 6, 6, 64}})
    for (const std::int64_t most : {cpu::sum_chunk, cpu::filter_chunk}) {
      const auto z = cpu::Chunks::of_images(x, most);
      EXPECT_GE(z.count, 16) << x[1];
      EXPECT_LE(z.chunk_rows * x[3], most) << x[1];
      EXPECT_EQ(z.chunk_rows % x[2], 0) << x[1];
      if (z.chunk_rows > x[1] * x[2]) {
        EXPECT_EQ(z.chunk_rows % (x[1] * x[2]), 0) << "whole images of " << x[1];
      }
      std::int64_t next = 0;
      for (std::int64_t k = 0; k < z.count; next += z.rows(k++)) EXPECT_EQ(z.begin(k), next) << x[1];
      EXPECT_EQ(next, x.numel() / x[3]) << x[1];
    }
  // An image that fits is not divided.
  EXPECT_EQ(cpu::Chunks::of_images({4, 7, 7, 512}, cpu::filter_chunk).count, 4);
  EXPECT_EQ(cpu::Chunks::of_images({1, 28, 28, 128}, cpu::filter_chunk).count, 1);
}

}  // namespace
}  // namespace reprise::kernels
