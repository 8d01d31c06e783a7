// clr forward: outputs, their names and layout, one training step, and messages for wrong input.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "data/weights/weight_file.h"
#include "tests/apps/support.h"

namespace reprise::test {
namespace {

using data::NamedTensor;

// A folder with a backbone and an input of some images, and the arguments that run them.
class Forward : public testing::Test {
 protected:
  void write_input(std::int64_t count, int size = 32, const Tensor& labels = {}) {
    std::vector<NamedTensor> tensors{{"images", noise_images(count, size)}};
    if (labels.defined()) tensors.push_back({"labels", labels});
    data::write_safetensors(input, tensors);
  }
  Outcome run(const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments{"forward", "--backbone", backbone, "--input",
                                       input,     "--output",   output};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return clr(arguments);
  }
  // Runs the command, expects success, and returns the tensors that it wrote.
  data::WeightFile result(const std::vector<std::string>& more = {}) {
    const Outcome o = run(more);
    EXPECT_EQ(o.status, 0) << o.err;
    return data::read_weights(output);
  }
  static const Tensor& at(const data::WeightFile& file, const std::string& name) {
    const Tensor* t = file.find(name);
    if (t == nullptr) throw std::runtime_error("no tensor " + name);
    return *t;
  }

  TempDir dir;
  std::string backbone = write_tiny_backbone(dir / "backbone.safetensors");
  std::string input = dir / "input.safetensors", output = dir / "output.safetensors";
};

bool same_bits(const Tensor& a, const Tensor& b) {
  const auto x = a.raw_bytes(), y = b.raw_bytes();
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         std::equal(x.begin(), x.end(), y.begin(), y.end());
}

TEST_F(Forward, writes_features_and_logits) {
  write_input(3);
  const auto file = result();
  ASSERT_EQ(file.tensors.size(), 2U);
  EXPECT_EQ(at(file, "features").shape(), (Shape{3, 64}));
  EXPECT_EQ(at(file, "logits").shape(), (Shape{3, 10}));
  EXPECT_EQ(at(file, "logits").dtype(), DType::f32);
}

TEST_F(Forward, json_says_what_was_written) {
  write_input(3);
  const auto j = nlohmann::json::parse(run({"--json"}).out);
  EXPECT_EQ(j["backbone"], backbone);
  EXPECT_EQ(j["output"], output);
  EXPECT_EQ(j["arch"], "resnet20");
  EXPECT_EQ(j["images"], 3);
  EXPECT_EQ(j["tensors"], nlohmann::json::parse(R"({"features": {"shape": [3, 64], "dtype": "f32"},
                                                   "logits": {"shape": [3, 10], "dtype": "f32"}})"));
}

TEST_F(Forward, a_backbone_without_a_head_has_features_alone) {
  auto tensors = tiny_backbone();
  std::erase_if(tensors, [](const NamedTensor& t) { return t.name.starts_with("linear."); });
  data::write_safetensors(backbone, tensors);
  write_input(3, 32, tensor({3}, std::vector<std::int64_t>{0, 1, 2}));
  const Outcome o = run();
  EXPECT_EQ(o.status, 0) << o.err;
  EXPECT_SAYS(o.err, "has no head of its own: no logits are written");
  EXPECT_EQ(data::read_weights(output).tensors.size(), 1U);
  const Outcome step = run({"--train-step"});
  EXPECT_EQ(step.status, 1);
  EXPECT_SAYS(step.err, "has no head; give --task, or --method and --classes");
  EXPECT_EQ(run({"--train-step", "--method", "linear", "--classes", "3"}).status, 0);
}

TEST_F(Forward, an_image_does_not_depend_on_its_batch) {
  write_input(35);  // needs more than one pass
  const auto all = result();
  for (const std::int64_t i : {0, 31, 32, 34}) {
    const Tensor image = noise_images(35, 32).rows(i, i + 1).clone();
    data::write_safetensors(input, {{"images", image}});
    const auto alone = result();
    EXPECT_TRUE(same_bits(at(alone, "logits"), at(all, "logits").rows(i, i + 1).clone())) << "image " << i;
  }
}

TEST_F(Forward, any_number_of_threads_gives_the_same_bytes) {
  write_input(5);
  result({"--threads", "1"});
  const std::string one = read_text(output);
  result({"--threads", "3"});
  EXPECT_EQ(read_text(output), one);
}

TEST_F(Forward, layers_come_under_their_names_channels_first) {
  write_input(2);
  const auto file = result({"--layers"});
  EXPECT_EQ(at(file, "conv1").shape(), (Shape{2, 16, 32, 32}));
  EXPECT_EQ(at(file, "layer2.0").shape(), (Shape{2, 32, 16, 16}));
  const Tensor& last = at(file, "layer3");
  ASSERT_EQ(last.shape(), (Shape{2, 64, 8, 8}));
  EXPECT_TRUE(same_bits(at(file, "linear"), at(file, "logits")));
  // Each feature is the spatial mean of the last stage: of a plane of H*W numbers.
  for (std::int64_t plane = 0; plane < 128; ++plane) {
    double sum = 0;
    for (std::int64_t i = 0; i < 64; ++i) sum += static_cast<double>(last.data<float>()[plane * 64 + i]);
    EXPECT_NEAR(sum / 64, static_cast<double>(at(file, "features").data<float>()[plane]),
                1e-6 * (1 + std::abs(sum)));
  }
}

TEST_F(Forward, until_stops_behind_a_module) {
  write_input(2);
  const Tensor whole = at(result({"--layers"}), "layer2");
  const auto file = result({"--until", "layer2", "--layers"});
  EXPECT_TRUE(same_bits(at(file, "layer2"), whole));
  EXPECT_EQ(file.find("layer3"), nullptr);
  EXPECT_EQ(file.find("logits"), nullptr);
  EXPECT_EQ(at(file, "features").shape(), (Shape{2, 32}));
}

TEST_F(Forward, until_needs_no_later_tensors) {
  write_input(2);
  const auto whole = result({"--until", "layer2"});
  auto tensors = tiny_backbone();
  std::erase_if(tensors, [](const NamedTensor& t) { return t.name.starts_with("layer3.1."); });
  data::write_safetensors(backbone, tensors);
  EXPECT_TRUE(same_bits(at(result({"--until", "layer2"}), "features"), at(whole, "features")));
  EXPECT_TRUE(exists(output));

  const Outcome all = run();
  EXPECT_EQ(all.status, 1);
  EXPECT_NE(all.err.find("missing  layer3.1.conv1.weight [64, 64, 3, 3]"), std::string::npos) << all.err;
  EXPECT_NE(all.err.find("missing  layer3.1.bn2.running_var [64]"), std::string::npos) << all.err;
  EXPECT_EQ(run({"--until", "layer3"}).status, 1);
}

TEST_F(Forward, an_untrained_method_computes_what_the_backbone_does) {
  write_input(2);
  const Tensor plain = at(result(), "logits");
  for (const std::string method : {"clr", "clr-full", "clr-mixed", "linear", "bn-only", "Ghost_reduced_v1"})
    EXPECT_LT(relative_difference(at(result({"--method", method}), "logits"), plain), 1e-6) << method;
}

TEST_F(Forward, double_precision_agrees_with_single) {
  write_input(2);
  const Tensor single = at(result(), "features");
  const Tensor precise = at(result({"--dtype", "f64"}), "features");
  EXPECT_EQ(precise.dtype(), DType::f64);
  EXPECT_LT(relative_difference(single, precise), 1e-5);
  EXPECT_GT(relative_difference(single, precise), 0);
}

// With a frozen body the head's gradients follow from features and logits by hand.
TEST_F(Forward, train_step_of_a_linear_head) {
  write_input(4, 32, labels_in_turn(4, 10));
  const auto file = result({"--method", "linear", "--train-step", "--dtype", "f64"});
  const double* logits = at(file, "logits").data<double>();
  double loss = 0;
  std::vector<double> bias(10, 0);
  for (int n = 0; n < 4; ++n) {
    double sum = 0;
    for (int c = 0; c < 10; ++c) sum += std::exp(logits[n * 10 + c]);
    loss += (std::log(sum) - logits[n * 10 + n]) / 4;
    for (std::size_t c = 0; c < 10; ++c)
      bias[c] += (std::exp(logits[static_cast<std::size_t>(n) * 10 + c]) / sum -
                  (c == static_cast<std::size_t>(n))) /
                 4;
  }
  EXPECT_NEAR(at(file, "loss").item(), loss, 1e-10);
  for (std::size_t c = 0; c < 10; ++c)
    EXPECT_NEAR(at(file, "grad.linear.bias").data<double>()[c], bias[c], 1e-10) << c;
  EXPECT_EQ(at(file, "grad.linear.weight").shape(), (Shape{10, 64}));
  EXPECT_EQ(file.tensors.size(), 5U) << "nothing else is trained, and no batch norm uses the batch";
}

TEST_F(Forward, train_step_of_clr_has_its_gradients_and_statistics) {
  write_input(4, 32, labels_in_turn(4, 10));
  const auto file = result({"--method", "clr", "--train-step", "--layers"});
  int gradients = 0;
  for (const NamedTensor& t : file.tensors) gradients += t.name.starts_with("grad.");
  EXPECT_EQ(gradients,
            19 + 2 * 19 + 2);  // a kernel per convolution, scale and shift per batch norm, the head
  EXPECT_EQ(at(file, "grad.layer2.0.conv1.reprogram.weight").shape(), (Shape{32, 1, 3, 3}));
  EXPECT_EQ(file.find("grad.conv1.weight"), nullptr);
  // The stem's batch norm has the same input in both modes: compare mean and biased variance.
  const Tensor& stem = at(file, "conv1");
  for (std::int64_t c = 0; c < 16; ++c) {
    double sum = 0, squares = 0;
    for (std::int64_t n = 0; n < 4; ++n)
      for (std::int64_t i = 0; i < 1024; ++i) {
        const auto v = static_cast<double>(stem.data<float>()[(n * 16 + c) * 1024 + i]);
        sum += v;
        squares += v * v;
      }
    const double mean = sum / 4096, var = squares / 4096 - mean * mean;
    EXPECT_NEAR(static_cast<double>(at(file, "batch_mean.bn1").data<float>()[c]), mean, 1e-5);
    EXPECT_NEAR(static_cast<double>(at(file, "batch_var.bn1").data<float>()[c]), var, 1e-5 * (1 + var));
  }
}

TEST_F(Forward, train_step_without_a_method_trains_everything) {
  write_input(4, 32, labels_in_turn(4, 10));
  const std::string before = read_text(backbone);
  const auto file = result({"--train-step"});
  EXPECT_EQ(at(file, "grad.layer1.0.conv1.weight").shape(), (Shape{16, 16, 3, 3}));
  EXPECT_EQ(read_text(backbone), before);
}

TEST_F(Forward, wrong_usage_is_2) {
  write_input(1);
  const Outcome method = run({"--method", "nope"});
  EXPECT_EQ(method.status, 2);
  EXPECT_NE(method.err.find("expected one of clr = Ghost_reduced_v1, clr-full"), std::string::npos)
      << method.err;
  EXPECT_EQ(run({"--no-such-option"}).status, 2);
  EXPECT_EQ(run({"--method", "clr", "--task", "x"}).status, 2);
  EXPECT_EQ(run({"--until", "layer1", "--train-step"}).status, 2);
  EXPECT_EQ(run({"--device", "tpu"}).status, 2);
  EXPECT_EQ(run({"--dtype", "f16"}).status, 2);
  EXPECT_EQ(run({"--dtype", "f64", "--device", "cpu"}).status, 2);
  EXPECT_EQ(run({"--threads", "0"}).status, 2);
  EXPECT_EQ(run({"--seed", "-1"}).status, 2);
  const Outcome arch = run({"--arch", "resnet21"});
  EXPECT_EQ(arch.status, 2);
  EXPECT_NE(arch.err.find("resnet20, "), std::string::npos) << arch.err;
  EXPECT_EQ(clr({"forward", "--backbone", backbone}).status, 2);
  EXPECT_FALSE(exists(output));
}

TEST_F(Forward, wrong_input_is_1_and_nothing_is_written) {
  write_input(2);
  const Outcome module = run({"--until", "layer9"});
  EXPECT_EQ(module.status, 1);
  EXPECT_NE(module.err.find("no module named 'layer9'"), std::string::npos) << module.err;
  const Outcome labels = run({"--train-step"});
  EXPECT_EQ(labels.status, 1);
  EXPECT_NE(labels.err.find("no tensor 'labels'"), std::string::npos) << labels.err;
  write_input(2, 32, labels_in_turn(3, 10));
  EXPECT_NE(run({"--train-step"}).err.find("expected i64 [2], got i64 [3]"), std::string::npos);
  write_input(2, 32, tensor({2}, std::vector<std::int64_t>{0, 10}));
  EXPECT_EQ(run({"--train-step"}).status, 1);
  data::write_safetensors(input, {{"images", zeros({2, 32, 32, 3})}});
  EXPECT_NE(run().err.find("expected u8 [N, H, W, 3], got f32 [2, 32, 32, 3]"), std::string::npos);
  data::write_safetensors(input, {{"pictures", noise_images(1, 32)}});
  EXPECT_NE(run().err.find("no tensor 'images'"), std::string::npos);
  data::write_safetensors(input, {{"images", zeros({0, 32, 32, 3}, DType::u8)}});
  EXPECT_EQ(run().status, 1);
  EXPECT_FALSE(exists(output));
  write_input(1);
  output = dir / "no such folder/output.safetensors";
  EXPECT_EQ(run().status, 1);
}

// What PyTorch computed from published networks; see the folder's README.
class Published : public Forward {
 protected:
  void compare(const std::string& weights, const std::string& expected, const std::vector<std::string>& more,
               const std::vector<std::pair<std::string, std::string>>& names) {
    backbone = real_input("backbones/" + weights);
    input = real_input("expected/" + expected);
    if (backbone.empty() || input.empty()) GTEST_SKIP() << "../shared/real is not there";
    const auto ours = result(more), theirs = data::read_weights(input);
    for (const auto& [name, name_there] : names)
      EXPECT_LT(relative_difference(at(ours, name), at(theirs, name_there)), 1e-4) << name;
  }
};

TEST_F(Published, resnet20) {
  compare("resnet20-12fca82f.th", "resnet20-12fca82f.safetensors", {},
          {{"features", "features"}, {"logits", "logits"}});
}
TEST_F(Published, resnet32) {
  compare("resnet32-d509ac18.th", "resnet32-d509ac18.safetensors", {},
          {{"features", "features"}, {"logits", "logits"}});
}
TEST_F(Published, resnet18_up_to_layer3) {
  compare("resnet18-imagenet-without-layer4.safetensors", "resnet18-imagenet-without-layer4.safetensors",
          {"--until", "layer3"}, {{"features", "layer3_pooled"}});
}
TEST_F(Published, resnet18_stem) {
  const std::string expected = real_input("expected/resnet18-imagenet-without-layer4.safetensors");
  backbone = real_input("backbones/resnet18-imagenet-without-layer4.safetensors");
  if (backbone.empty() || expected.empty()) GTEST_SKIP() << "../shared/real is not there";
  const auto theirs = data::read_weights(expected);
  data::write_safetensors(input, {{"images", at(theirs, "images").rows(0, 1).clone()}});
  const Tensor stem = at(result({"--layers", "--until", "maxpool"}), "maxpool");
  EXPECT_LT(relative_difference(stem.viewed_as({64, 56, 56}), at(theirs, "stem_image0")), 1e-4);
}

}  // namespace
}  // namespace reprise::test
