#include "apps/clr/audit/op_cases.h"

#include "engine/autograd/autograd.h"
#include "engine/core/random.h"
#include "engine/ops/ops.h"
#include "engine/ops/optimizer_steps.h"

namespace reprise::clr {
namespace {

using Inputs = std::vector<Tensor>;

Tensor labels_for(const Tensor& logits) {
  Tensor labels = empty({logits.dim(0)}, DType::i64);
  for (std::int64_t i = 0; i < labels.numel(); ++i)
    labels.mutable_data<std::int64_t>()[i] = (i * 7) % logits.dim(1);
  return labels.to(logits.device());
}

// Pixels of every value, as many as x has.
Tensor bytes_like(const Tensor& x) {
  Tensor images = empty(x.shape(), DType::u8);
  for (std::int64_t i = 0; i < images.numel(); ++i)
    images.mutable_data<std::uint8_t>()[i] = static_cast<std::uint8_t>((i * 37) % 256);
  return images.to(x.device());
}

Tensor like(const Tensor& x, double value) {
  return full(x.shape(), value, x.dtype(), ref_device).to(x.device());
}

void add_products(std::vector<OpCase>& all) {
  const auto conv = [&](const std::string& name, const Conv2dArgs& args, const std::vector<Shape>& shapes,
                        const std::vector<Shape>& small) {
    all.push_back({"conv2d " + name, shapes, small, [args](const Inputs& in) {
                     return ops::conv2d(in[0], in[1], args, in.size() > 2 ? in[2] : Tensor());
                   }});
  };
  conv("3x3", {.padding = {1, 1}}, {{2, 16, 16, 64}, {64, 3, 3, 64}}, {{2, 5, 4, 3}, {4, 3, 3, 3}});
  conv("3x3 stride 2", {.stride = {2, 2}, .padding = {1, 1}}, {{1, 28, 28, 64}, {128, 3, 3, 64}},
       {{2, 6, 5, 3}, {4, 3, 3, 3}});
  conv("1x1", {}, {{2, 14, 14, 256}, {64, 1, 1, 256}}, {{2, 4, 3, 5}, {4, 1, 1, 5}});
  conv("7x7 stride 2", {.stride = {2, 2}, .padding = {3, 3}}, {{1, 64, 64, 3}, {64, 7, 7, 3}},
       {{1, 9, 8, 3}, {2, 7, 7, 3}});
  conv("3x3 in 2 groups, bias", {.padding = {1, 1}, .groups = 2}, {{2, 14, 14, 32}, {32, 3, 3, 16}, {32}},
       {{2, 5, 4, 4}, {6, 3, 3, 2}, {6}});
  const auto depthwise = [](const Inputs& in) {
    return ops::depthwise_conv2d(in[0], in[1], {.padding = {1, 1}});
  };
  all.push_back(
      {"depthwise_conv2d 3x3", {{2, 28, 28, 128}, {3, 3, 128}}, {{2, 5, 4, 3}, {3, 3, 3}}, depthwise});
  all.push_back({"conv2d 1x1, twice of one image",
                 {{2, 14, 14, 64}, {64, 1, 1, 64}, {64, 1, 1, 64}},
                 {{2, 4, 3, 5}, {4, 1, 1, 5}, {4, 1, 1, 5}},
                 [](const Inputs& in) {
                   const Tensor x = ops::affine(in[0], 0.5, 0);
                   return ops::add(ops::conv2d(x, in[1]), ops::conv2d(x, in[2]));
                 }});
  all.push_back({"depthwise_conv2d, 2 tasks",
                 {{4, 14, 14, 64}, {2, 3, 3, 64}},
                 {{4, 5, 4, 3}, {2, 3, 3, 3}},
                 depthwise});
}

void add_matrices(std::vector<OpCase>& all) {
  all.push_back({"linear", {{32, 512}, {10, 512}, {10}}, {{4, 7}, {3, 7}, {3}}, [](const Inputs& in) {
                   return ops::linear(in[0], in[1], in[2]);
                 }});
  all.push_back({"matmul", {{64, 128}, {128, 96}}, {{3, 5}, {5, 4}}, [](const Inputs& in) {
                   return ops::matmul(in[0], in[1]);
                 }});
  all.push_back({"matmul transposed", {{128, 64}, {96, 128}}, {{5, 3}, {4, 5}}, [](const Inputs& in) {
                   return ops::matmul(in[0], in[1], {.transpose_a = true, .transpose_b = true});
                 }});
}

void add_batch_norm(std::vector<OpCase>& all) {
  all.push_back({"batch_norm", {{8, 14, 14, 64}, {64}, {64}}, {{3, 4, 3, 2}, {2}, {2}}, [](const Inputs& in) {
                   return ops::batch_norm(in[0], in[1], in[2]).y;
                 }});
  all.push_back(
      {"batch_norm_eval", {{8, 14, 14, 64}, {64}, {64}}, {{3, 4, 3, 2}, {2}, {2}}, [](const Inputs& in) {
         return ops::batch_norm_eval(in[0], like(in[1], 0.1), like(in[1], 1.3), in[1], in[2]);
       }});
  all.push_back({"update_running_stats",
                 {{8, 14, 14, 64}, {64}, {64}},
                 {{3, 4, 3, 2}, {2}, {2}},
                 [](const Inputs& in) {
                   const auto batch = ops::batch_norm(in[0], in[1], in[2]);
                   Tensor mean = like(in[1], 0.1), var = like(in[1], 1.3);
                   ops::update_running_stats(batch, in[0].numel() / in[1].numel(), mean, var);
                   return var;
                 },
                 false,
                 false});
}

// Filters that are frozen for good, which the cpu backend may transform beforehand; and what stands behind
// them.
// From as many channels to as many, for x.
Tensor frozen_filter(const Tensor& x, std::int64_t size) {
  const std::int64_t channels = x.dim(3);
  Tensor filter = empty({channels, size, size, channels}, DType::f64, ref_device);
  RandomStream random(0, "audit/frozen filter");
  for (std::int64_t i = 0; i < filter.numel(); ++i) filter.mutable_data<double>()[i] = random.normal();
  return filter.to(parameter_dtype(x.dtype())).to(x.device()).sealed_copy();
}

void add_frozen_blocks(std::vector<OpCase>& all) {
  all.push_back({"conv2d 3x3, frozen", {{2, 28, 28, 64}}, {{1, 6, 5, 3}}, [](const Inputs& in) {
                   return ops::conv2d(in[0], frozen_filter(in[0], 3), {.padding = {1, 1}});
                 }});
  const std::vector<Shape> shapes{{8, 14, 14, 64}, {3, 3, 64}, {64}, {64}, {8, 14, 14, 64}},
      small{{3, 4, 3, 2}, {3, 3, 2}, {2}, {2}, {3, 4, 3, 2}};
  all.push_back({"conv_block", shapes, small, [](const Inputs& in) {
                   return ops::conv_block({in[0], {}, in[1], in[2], in[3], in[4]}).y;
                 }});
  all.push_back({"conv_block_eval", shapes, small, [](const Inputs& in) {
                   return ops::conv_block_eval({in[0], {}, in[1], in[2], in[3], in[4]}, like(in[2], 0.1),
                                               like(in[2], 1.3));
                 }});
  all.push_back({"conv_block 1x1",
                 {{8, 14, 14, 64}, {64}, {64}, {8, 14, 14, 64}},
                 {{3, 4, 3, 2}, {2}, {2}, {3, 4, 3, 2}},
                 [](const Inputs& in) {
                   // Of an intermediate with another use, so that gradients are added in place.
                   const Tensor x = ops::affine(in[0], 0.5, 0), w = frozen_filter(x, 1);
                   return ops::add(ops::conv_block({x, w, {}, in[1], in[2], in[3]}).y, ops::relu(x));
                 }});
  all.push_back({"conv_block 3x3, filter",
                 {{8, 14, 14, 64}, {3, 3, 64}, {64}, {64}},
                 {{3, 4, 3, 2}, {3, 3, 2}, {2}, {2}},
                 [](const Inputs& in) {
                   const ConvBlockArgs args{.conv = {.stride = {2, 2}, .padding = {1, 1}}};
                   return ops::conv_block({in[0], frozen_filter(in[0], 3), in[1], in[2], in[3], {}, args}).y;
                 }});
  all.push_back({"conv_block_eval 1x1, inference",
                 {{8, 14, 14, 64}, {64, 1, 1, 64}, {64}, {64}, {8, 14, 14, 64}},
                 {{3, 4, 3, 2}, {2, 1, 1, 2}, {2}, {2}, {3, 4, 3, 2}},
                 [](const Inputs& in) {
                   return ops::conv_block_eval({in[0], in[1], {}, in[2], in[3], in[4]}, like(in[2], 0.1),
                                               like(in[2], 1.3));
                 },
                 false,
                 false});
}

void add_elementwise(std::vector<OpCase>& all) {
  const std::vector<Shape> one{{8, 14, 14, 64}}, small_one{{2, 3, 4}};
  const std::pair<const char*, Tensor (*)(const Tensor&)> unary[] = {
      {"relu", ops::relu}, {"exp", ops::exp},   {"log", ops::log},
      {"sqrt", ops::sqrt}, {"tanh", ops::tanh}, {"sigmoid", ops::sigmoid},
      {"sum", ops::sum},   {"mean", ops::mean}, {"sum_rows", ops::sum_rows}};
  for (const auto& [name, f] : unary)
    all.push_back({name, one, small_one, [f = f](const Inputs& in) { return f(in[0]); },
                   std::string_view(name) == "log" || std::string_view(name) == "sqrt"});
  const std::pair<const char*, Tensor (*)(const Tensor&, const Tensor&)> binary[] = {
      {"add", ops::add}, {"sub", ops::sub}, {"mul", ops::mul}, {"div", ops::div}};
  for (const auto& [name, f] : binary) {
    const auto call = [f = f](const Inputs& in) { return f(in[0], in[1]); };
    all.push_back({name, {{8, 14, 14, 64}, {8, 14, 14, 64}}, {{2, 3, 4}, {2, 3, 4}}, call, true});
    all.push_back(
        {std::string(name) + " per channel", {{8, 14, 14, 64}, {64}}, {{2, 3, 4}, {4}}, call, true});
    all.push_back({std::string(name) + " one value", {{8, 14, 14, 64}, {1}}, {{2, 3, 4}, {1}}, call, true});
  }
  all.push_back({"affine", one, small_one, [](const Inputs& in) { return ops::affine(in[0], 0.3, -2); }});
}

void add_images(std::vector<OpCase>& all) {
  const Pool2dArgs max{{3, 3}, {2, 2}, {1, 1}, true}, avg{{3, 3}, {2, 2}, {1, 1}, false};
  all.push_back({"max_pool2d", {{2, 28, 28, 64}}, {{2, 6, 5, 3}}, [max](const Inputs& in) {
                   return ops::max_pool2d(in[0], max);
                 }});
  all.push_back({"avg_pool2d", {{2, 28, 28, 64}}, {{2, 6, 5, 3}}, [avg](const Inputs& in) {
                   return ops::avg_pool2d(in[0], avg);
                 }});
  all.push_back({"global_avg_pool", {{8, 7, 7, 512}}, {{2, 3, 4, 3}}, [](const Inputs& in) {
                   return ops::global_avg_pool(in[0]);
                 }});
  all.push_back({"pad", {{8, 16, 16, 16}}, {{2, 3, 2, 4}}, [](const Inputs& in) {
                   return ops::pad(in[0], {{0, 0}, {1, 2}, {0, 1}, {3, 0}});
                 }});
  all.push_back({"stride_slice", {{8, 16, 16, 16}}, {{2, 3, 4, 2}}, [](const Inputs& in) {
                   return ops::stride_slice(in[0], {0, 0, 1, 0}, {1, 2, 2, 1});
                 }});
  all.push_back({"concat", {{8, 16, 16, 16}, {8, 16, 16, 8}}, {{2, 3, 2}, {2, 3, 4}}, [](const Inputs& in) {
                   return ops::concat({in[0], in[1]}, -1);
                 }});
  all.back().images = 2;
  // To the device's other dtype and back.
  all.push_back({"cast",
                 {{8, 14, 14, 64}},
                 {{2, 3, 4}},
                 [](const Inputs& in) {
                   const DType from = in[0].dtype(),
                               wide = in[0].device() == ref_device ? DType::f64 : DType::bf16;
                   return ops::cast(ops::cast(in[0], from == DType::f32 ? wide : DType::f32), from);
                 },
                 false,
                 false});
  all.push_back({"reshape and slice", {{8, 16, 16, 16}}, {{4, 3, 2}}, [](const Inputs& in) {
                   return ops::slice(ops::reshape(in[0], {in[0].dim(0), in[0].numel() / in[0].dim(0)}), 1, 3);
                 }});
  all.push_back({"normalize_images",
                 {{2, 64, 64, 3}},
                 {{2, 4, 3, 3}},
                 [](const Inputs& in) { return ops::normalize_images(bytes_like(in[0]), in[0].dtype()); },
                 false,
                 false});
}

void add_losses_and_steps(std::vector<OpCase>& all) {
  for (const auto& [name, kind] :
       {std::pair("norm l1", NormKind::l1), {"norm l2", NormKind::l2}, {"norm l12", NormKind::l12}})
    all.push_back(
        {name, {{64, 3, 3, 64}}, {{3, 2, 4}}, [k = kind](const Inputs& in) { return ops::norm(in[0], k); }});
  all.push_back({"softmax", {{32, 100}}, {{3, 5}}, [](const Inputs& in) { return ops::softmax(in[0]); }});
  all.push_back(
      {"log_softmax", {{32, 100}}, {{3, 5}}, [](const Inputs& in) { return ops::log_softmax(in[0]); }});
  all.push_back({"cross_entropy", {{32, 100}}, {{3, 5}}, [](const Inputs& in) {
                   return ops::cross_entropy(in[0], labels_for(in[0]));
                 }});
  all.push_back({"argmax_rows",
                 {{32, 100}},
                 {{3, 5}},
                 [](const Inputs& in) { return ops::argmax_rows(in[0]); },
                 false,
                 false});
  all.push_back({"sgd_step",
                 {{64, 3, 3, 64}, {64, 3, 3, 64}},
                 {{5}, {5}},
                 [](const Inputs& in) {
                   Tensor parameter = in[0].clone(), momentum = like(in[0], 0.2);
                   ops::sgd_step(parameter, in[1], momentum, {.momentum = 0.9, .weight_decay = 1e-4});
                   return parameter;
                 },
                 false,
                 false});
  all.push_back({"adam_step",
                 {{64, 3, 3, 64}, {64, 3, 3, 64}},
                 {{5}, {5}},
                 [](const Inputs& in) {
                   Tensor parameter = in[0].clone(), m = like(in[0], 0.1), v = like(in[0], 0.3);
                   ops::adam_step(parameter, in[1], m, v, {.weight_decay = 1e-4, .step = 3});
                   return parameter;
                 },
                 false,
                 false});
}

}  // namespace

const std::vector<OpCase>& op_cases() {
  static const std::vector<OpCase> cases = [] {
    std::vector<OpCase> all;
    add_products(all);
    add_batch_norm(all);
    add_frozen_blocks(all);
    add_elementwise(all);
    add_images(all);
    const std::size_t of_images = all.size();
    add_matrices(all);
    add_losses_and_steps(all);
    for (std::size_t i = of_images; i < all.size(); ++i) all[i].images = 0;
    return all;
  }();
  return cases;
}

std::vector<Tensor> draw_inputs(const OpCase& c, bool small, DType dtype, Device device) {
  std::vector<Tensor> inputs;
  const std::vector<Shape>& shapes = small ? c.small : c.shapes;
  for (const Shape& shape : shapes) {
    Tensor t = empty(shape, DType::f64, ref_device);
    RandomStream random(0, "audit/" + c.name, inputs.size());
    for (std::int64_t i = 0; i < t.numel(); ++i)
      t.mutable_data<double>()[i] = c.positive ? random.uniform(0.5, 1.5) : random.normal();
    const bool image =
        c.images > 0 && (inputs.size() < static_cast<std::size_t>(c.images) || shape == shapes[0]);
    inputs.push_back(t.to(image ? dtype : parameter_dtype(dtype)).to(device));
    if (c.differentiable) set_requires_grad(inputs.back());
  }
  return inputs;
}

}  // namespace reprise::clr
