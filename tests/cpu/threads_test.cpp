// Kernels with sums over chunks give the same bits for any number of threads.
#include <gtest/gtest.h>

#include <cstring>

#include "engine/core/parallel.h"
#include "engine/core/random.h"
#include "engine/core/tensor.h"
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

// Runs f, which fills out, with 1, 2 and 5 threads.
template <class F>
void expect_same_bits(Tensor& out, F f) {
  set_thread_count(1);
  f();
  const Tensor first = out.clone();
  for (int threads : {2, 5}) {
    set_thread_count(threads);
    f();
    EXPECT_EQ(std::memcmp(first.raw_bytes().data(), out.raw_bytes().data(), out.bytes()), 0)
        << threads << " threads";
  }
  set_thread_count(0);
}

TEST(CpuThreads, SumsOverChunks) {
  const Shape shape{6, 33, 40, 35};  // in three task groups; several chunks in each, the last one short
  const Tensor x = random_tensor(shape, 1), dy = random_tensor(shape, 2);
  Tensor mean = empty({3, 35}), var = empty({3, 35}), dgamma = empty({3, 35}), dbeta = empty({3, 35});
  Tensor dw = empty({3, 3, 3, 35}), rows = empty({35}), total = empty({});
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

}  // namespace
}  // namespace reprise::kernels
