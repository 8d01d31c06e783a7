// What each op computes, beside PyTorch in double: all backends run one definition of an op, so that
// comparing them finds no fault in it. Kernels of f32 and bf16 are compared with these by the cases.
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <map>
#include <sstream>

#include "engine/autograd/autograd.h"
#include "engine/ops/ops.h"

namespace reprise {
namespace {

using Tensors = std::map<std::string, Tensor>;

// Reads tests/golden/ops/ops.txt: by case, its tensors by name.
std::map<std::string, Tensors> read_golden() {
  std::map<std::string, Tensors> cases;
  std::ifstream file(REPRISE_SOURCE_DIR "/tests/golden/ops/ops.txt");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name, tensor, sizes;
    words >> name >> tensor >> sizes;
    std::vector<std::int64_t> shape;
    std::istringstream each(sizes);
    for (std::string size; sizes != "scalar" && std::getline(each, size, 'x');)
      shape.push_back(std::stoll(size));
    Tensor t = empty(Shape(shape), DType::f64, ref_device);
    double* to = t.mutable_data<double>();
    for (std::int64_t i = 0; i < t.numel(); ++i) words >> to[i];
    cases[name][tensor] = t;
  }
  return cases;
}

void expect_near(const Tensor& got, const Tensor& expected, const std::string& what) {
  ASSERT_EQ(got.shape(), expected.shape()) << what;
  for (std::int64_t i = 0; i < got.numel(); ++i)
    ASSERT_NEAR(got.data<double>()[i], expected.data<double>()[i], 1e-12) << what << " " << i;
}

TEST(Golden, EveryOpComputesWhatPyTorchDoes) {
  using Operands = std::vector<Tensor>;
  const Tensor labels = tensor<std::int64_t>({3}, {2, 0, 1}).to(ref_device),
               mean = tensor({3}, {0.5, 0, -1}).to(DType::f64).to(ref_device),
               var = tensor({3}, {2, 1, 0.25}).to(DType::f64).to(ref_device);
  const Conv2dArgs conv{{2, 1}, {1, 2}, {1, 2}, 2};
  const Pool2dArgs pool{{3, 3}, {2, 2}, {1, 1}};
  Pool2dArgs inside = pool;
  inside.count_include_pad = false;
  const std::map<std::string, std::function<Tensor(const Operands&)>> ops{
      {"add", [](const Operands& x) { return ops::add(x[0], x[1]); }},
      {"add_channel", [](const Operands& x) { return ops::add(x[0], x[1]); }},
      {"sub", [](const Operands& x) { return ops::sub(x[0], x[1]); }},
      {"mul", [](const Operands& x) { return ops::mul(x[0], x[1]); }},
      {"mul_channel", [](const Operands& x) { return ops::mul(x[0], x[1]); }},
      {"div", [](const Operands& x) { return ops::div(x[0], x[1]); }},
      {"div_scalar", [](const Operands& x) { return ops::div(x[0], x[1]); }},
      {"affine", [](const Operands& x) { return ops::affine(x[0], 3, -0.5); }},
      {"batch_norm", [](const Operands& x) { return ops::batch_norm(x[0], x[1], x[2], {.eps = 1e-3}).y; }},
      {"batch_norm_eval",
       [&](const Operands& x) { return ops::batch_norm_eval(x[0], mean, var, x[1], x[2], {.eps = 1e-3}); }},
      {"conv2d", [&](const Operands& x) { return ops::conv2d(x[0], x[1], conv); }},
      {"depthwise_conv2d",
       [](const Operands& x) {
         return ops::depthwise_conv2d(x[0], x[1], {{2, 2}, {1, 1}});
       }},
      {"reshape",
       [](const Operands& x) {
         return ops::reshape(x[0], {3, 4});
       }},
      {"slice", [](const Operands& x) { return ops::slice(x[0], 1, 3); }},
      {"pad",
       [](const Operands& x) {
         return ops::pad(x[0], {{2, 1}, {0, 1}});
       }},
      {"stride_slice",
       [](const Operands& x) {
         return ops::stride_slice(x[0], {1, 0}, {2, 3});
       }},
      {"transpose", [](const Operands& x) { return ops::transpose(x[0]); }},
      {"concat",
       [](const Operands& x) {
         return ops::concat({x[0], x[1]}, 1);
       }},
      {"linear", [](const Operands& x) { return ops::linear(x[0], x[1], x[2]); }},
      {"matmul", [](const Operands& x) { return ops::matmul(x[0], x[1]); }},
      {"matmul_transposed",
       [](const Operands& x) {
         return ops::matmul(x[0], x[1], {true, true});
       }},
      {"max_pool2d", [&](const Operands& x) { return ops::max_pool2d(x[0], pool); }},
      {"avg_pool2d",
       [](const Operands& x) {
         return ops::avg_pool2d(x[0], {{3, 2}, {2, 2}, {1, 0}});
       }},
      {"avg_pool2d_inside", [&](const Operands& x) { return ops::avg_pool2d(x[0], inside); }},
      {"global_avg_pool", [](const Operands& x) { return ops::global_avg_pool(x[0]); }},
      {"sum", [](const Operands& x) { return ops::sum(x[0]); }},
      {"mean", [](const Operands& x) { return ops::mean(x[0]); }},
      {"sum_rows", [](const Operands& x) { return ops::sum_rows(x[0]); }},
      {"sum_dim", [](const Operands& x) { return ops::sum(x[0], 1); }},
      {"mean_dim", [](const Operands& x) { return ops::mean(x[0], 0); }},
      {"max_dim", [](const Operands& x) { return ops::max(x[0], -2); }},
      {"norm_l1", [](const Operands& x) { return ops::norm(x[0], NormKind::l1); }},
      {"norm_l2", [](const Operands& x) { return ops::norm(x, NormKind::l2); }},
      {"norm_l12", [](const Operands& x) { return ops::norm(x[0], NormKind::l12); }},
      {"softmax", [](const Operands& x) { return ops::softmax(x[0]); }},
      {"log_softmax", [](const Operands& x) { return ops::log_softmax(x[0]); }},
      {"cross_entropy", [&](const Operands& x) { return ops::cross_entropy(x[0], labels); }},
      {"cross_entropy_smoothed", [&](const Operands& x) { return ops::cross_entropy(x[0], labels, 0.25); }},
      {"relu", [](const Operands& x) { return ops::relu(x[0]); }},
      {"relu6", [](const Operands& x) { return ops::relu6(x[0]); }},
      {"gelu", [](const Operands& x) { return ops::gelu(x[0]); }},
      {"clamp", [](const Operands& x) { return ops::clamp(x[0], -0.5, 1.25); }},
      {"exp", [](const Operands& x) { return ops::exp(x[0]); }},
      {"log", [](const Operands& x) { return ops::log(x[0]); }},
      {"sqrt", [](const Operands& x) { return ops::sqrt(x[0]); }},
      {"tanh", [](const Operands& x) { return ops::tanh(x[0]); }},
      {"sigmoid", [](const Operands& x) { return ops::sigmoid(x[0]); }},
  };
  const auto golden = read_golden();
  ASSERT_EQ(golden.size(), ops.size());
  for (const auto& [name, op] : ops) {
    const Tensors& expected = golden.at(name);
    Operands operands;
    for (const char* operand : {"a", "b", "c"})
      if (const auto found = expected.find(operand); found != expected.end()) {
        operands.push_back(found->second);
        set_requires_grad(operands.back());
      }
    const Tensor y = op(operands);
    expect_near(y, expected.at("y"), name);
    backward(y, expected.at("u"));
    for (std::size_t i = 0; i < operands.size(); ++i)
      expect_near(grad(operands[i]), expected.at(std::string("d") + "abc"[i]), name + "'s gradient");
  }
}

}  // namespace
}  // namespace reprise
