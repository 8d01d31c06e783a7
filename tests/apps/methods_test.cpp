// Every method through the program: trains, evaluates again, and checks the file and the network.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "apps/clr/learn/backbone.h"
#include "apps/clr/learn/task_file.h"
#include "data/weights/weight_file.h"
#include "engine/autograd/autograd.h"
#include "layers/network.h"
#include "layers/reprogramming/method.h"
#include "tests/apps/train_support.h"

namespace reprise::test {
namespace {

using nlohmann::json;

// Returns the largest difference of their elements.
double difference(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape()) return std::numeric_limits<double>::infinity();
  double largest = 0;
  for (std::int64_t i = 0; i < a.numel(); ++i)
    largest = std::max(largest, static_cast<double>(std::abs(a.data<float>()[i] - b.data<float>()[i])));
  return largest;
}

class EveryMethod : public testing::TestWithParam<const layers::Method*> {
 protected:
  EveryMethod() {
    write_tiny_backbone(dir / "backbone.safetensors");
    for (const std::string task : {"circles", "dots"}) write_task(dir / "data", task);
  }
  static bool from_scratch() { return GetParam()->starts_at_random; }
  static std::string method() { return std::string(GetParam()->name); }
  Outcome train() const {
    std::vector<std::string> a{"train", "--data",   dir / "data", "--run",    dir / "run", "--device",
                               "cpu",   "--size",   "8",          "--epochs", "2",         "--batch",
                               "5",     "--method", method(),     "--quiet"};
    if (from_scratch())
      a.insert(a.end(), {"--arch", "resnet20"});
    else
      a.insert(a.end(), {"--backbone", dir / "backbone.safetensors"});
    return test::clr(a);
  }
  clr::Backbone backbone() const {
    return clr::backbone_for(method(), from_scratch() ? "" : dir / "backbone.safetensors", "resnet20",
                             cpu_device, DType::f32);
  }
  const TempDir dir;
};

TEST_P(EveryMethod, learns_and_forgets_nothing) {
  const Outcome o = train();
  ASSERT_EQ(o.status, 0) << o.err;
  const Outcome e =
      test::clr({"eval", "--run", dir / "run", "--data", dir / "data", "--device", "cpu", "--json"});
  ASSERT_EQ(e.status, 0) << e.err;
  const json result = json::parse(e.out);
  ASSERT_EQ(result["tasks"].size(), 2U);
  for (const auto& task : result["tasks"]) EXPECT_EQ(task["forgetting"], 0.0) << task;

  const Outcome p = test::clr({"predict", "--task", dir / "run/tasks/dots.safetensors", "--device", "cpu",
                               dir / "data/dots/class0/0.ppm"});
  EXPECT_EQ(p.status, 0) << p.err;

  const clr::TaskFile file = clr::read_task_file(dir / "run/tasks/dots.safetensors");
  EXPECT_EQ(file.backbone_identity == clr::no_identity, from_scratch());
  const auto has = [&](const std::string& name) {
    return std::any_of(file.tensors.begin(), file.tensors.end(),
                       [&](const auto& t) { return t.name == name; });
  };
  EXPECT_EQ(has("layer3.2.conv2.weight"), GetParam()->trains_convolutions);
  EXPECT_EQ(has("bn1.running_mean"), GetParam()->trains_batch_norm);
  EXPECT_TRUE(has("linear.weight"));
}

TEST_P(EveryMethod, shares_with_the_backbone_only_what_it_does_not_train) {
  const clr::Backbone b = backbone();
  const auto network = b.instantiate(method(), 4, 0, "first");
  for (const layers::Entry& e : network->named_tensors()) {
    const bool trained = e.is_buffer ? GetParam()->trains_batch_norm : requires_grad(*e.tensor);
    EXPECT_EQ(e.tensor->is_sealed(), !trained) << e.name;
    const auto w = b.weights.find(e.name);
    if (w == b.weights.end() || e.name.starts_with("linear.")) continue;
    EXPECT_EQ(e.tensor->storage() == w->second.storage(), !trained) << e.name;
    EXPECT_EQ(difference(*e.tensor, w->second), 0) << e.name;
  }
  EXPECT_EQ(network->is_training(), GetParam()->train_mode);
  // Start values are sampled per task and seed, and repeat.
  const auto again = b.instantiate(method(), 4, 0, "first"), other = b.instantiate(method(), 4, 0, "other");
  const auto first_tensors = network->named_tensors(), same = again->named_tensors(),
             different = other->named_tensors();
  for (std::size_t i = 0; i < first_tensors.size(); ++i) {
    const layers::Entry& e = first_tensors[i];
    EXPECT_EQ(difference(*same[i].tensor, *e.tensor), 0) << e.name;
    const bool drawn = e.name.starts_with("linear.") || e.name.ends_with(".side.weight") ||
                       (e.name.ends_with(".reprogram.weight") && method() == "clr-residual") ||
                       (e.layout == FileLayout::conv && from_scratch());
    EXPECT_EQ(difference(*different[i].tensor, *e.tensor) > 0.01, drawn) << e.name;
  }
}

TEST_P(EveryMethod, is_known_to_forward) {
  data::write_safetensors(dir / "in.safetensors",
                          {{"images", noise_images(4, 8)}, {"labels", labels_in_turn(4, 3)}}, {});
  std::vector<std::string> a{
      "forward",  "--input", dir / "in.safetensors", "--output",  dir / "out.safetensors",
      "--method", method(),  "--train-step",         "--classes", "3",
      "--device", "cpu"};
  if (from_scratch())
    a.insert(a.end(), {"--arch", "resnet20"});
  else
    a.insert(a.end(), {"--backbone", dir / "backbone.safetensors"});
  const Outcome o = test::clr(a);
  ASSERT_EQ(o.status, 0) << o.err;
  const data::WeightFile out = data::read_weights(dir / "out.safetensors");
  ASSERT_NE(out.find("logits"), nullptr);
  EXPECT_EQ(out.find("logits")->shape(), (Shape{4, 3}));
  const auto network = backbone().instantiate(method(), 3, 0, "forward");
  std::size_t gradients = 0;
  for (const auto& t : out.tensors) gradients += t.name.starts_with("grad.");
  EXPECT_EQ(gradients, network->trained_parameters().size());
}

INSTANTIATE_TEST_SUITE_P(Methods, EveryMethod,
                         testing::ValuesIn(layers::methods().begin(), layers::methods().end()),
                         [](const auto& given) {
                           std::string name(given.param->name);
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(Scratch, takes_an_architecture_and_no_backbone) {
  const TempDir dir;
  write_tiny_backbone(dir / "backbone.safetensors");
  write_task(dir / "data", "dots");
  const auto train = [&](std::vector<std::string> more) {
    std::vector<std::string> a{"train", "--data", dir / "data", "--run", dir / "run"};
    a.insert(a.end(), more.begin(), more.end());
    return test::clr(a);
  };
  const Outcome both = train({"--method", "scratch", "--backbone", dir / "backbone.safetensors"});
  EXPECT_EQ(both.status, 2);
  EXPECT_NE(both.err.find("takes --arch"), std::string::npos) << both.err;
  const Outcome neither = train({"--method", "scratch"});
  EXPECT_EQ(neither.status, 2);
  EXPECT_NE(neither.err.find("--arch is missing: expected an architecture"), std::string::npos)
      << neither.err;
  const Outcome nothing = train({"--method", "clr"});
  EXPECT_EQ(nothing.status, 2);
  EXPECT_NE(nothing.err.find("--backbone is missing"), std::string::npos) << nothing.err;
}

TEST(Info, tells_what_a_task_would_cost) {
  const Outcome one =
      test::clr({"info", "--method", "Ghost_reduced_v1", "--arch", "resnet50", "--size", "32"});
  ASSERT_EQ(one.status, 0) << one.err;
  EXPECT_NE(one.out.find("140,800 of 23,508,032 = 0.599 %"), std::string::npos) << one.out;

  const Outcome all = test::clr({"info", "--method", "all", "--arch", "xception", "--size", "48", "--json"});
  ASSERT_EQ(all.status, 0) << all.err;
  const json costs = json::parse(all.out)["methods"];
  ASSERT_EQ(costs.size(), layers::methods().size());
  for (const json& c : costs) EXPECT_EQ(c.contains("error"), c["method"] == "side-conv") << c;

  const TempDir dir;
  write_tiny_backbone(dir / "backbone.safetensors");
  const Outcome file = test::clr({"info", dir / "backbone.safetensors", "--method", "linear"});
  ASSERT_EQ(file.status, 0) << file.err;
  EXPECT_NE(file.out.find("resnet20, 10 classes, images of 32x32, method linear"), std::string::npos)
      << file.out;

  EXPECT_EQ(test::clr({"info"}).status, 2);
  EXPECT_EQ(test::clr({"info", "--method", "clr"}).status, 2);
  EXPECT_EQ(test::clr({"info", "--method", "nope", "--arch", "resnet50"}).status, 2);
}

}  // namespace
}  // namespace reprise::test
