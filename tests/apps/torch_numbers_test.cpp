// --rng torch: start values, order and losses equal PyTorch's (tests/golden/rng), resumed runs too.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "apps/clr/learn/backbone.h"
#include "data/weights/weight_file.h"
#include "engine/base/sha256.h"
#include "layers/conv2d.h"
#include "layers/file_layout.h"
#include "layers/network.h"
#include "tests/apps/by_formula.h"
#include "tests/apps/train_support.h"

namespace reprise::test {
namespace {

std::string golden_file(const std::string& name) {
  return std::string(REPRISE_SOURCE_DIR) + "/tests/golden/rng/" + name;
}

// Appends the tensor's bytes in the file's layout.
void add(std::vector<std::byte>& bytes, const layers::Entry& entry) {
  const Tensor tensor = layers::to_file_layout(*entry.tensor, entry.layout);
  bytes.insert(bytes.end(), tensor.raw_bytes().begin(), tensor.raw_bytes().end());
}

// For every architecture, method and seed: the head, the added layers, and the number of samples.
TEST(TorchNumbers, tasks_start_with_pytorchs_bits) {
  std::ifstream in(golden_file("networks.txt"));
  int lines = 0;
  for (std::string text; std::getline(in, text);) {
    if (text.starts_with("constructor")) continue;
    SCOPED_TRACE(text.substr(0, 50));
    lines += 1;
    std::istringstream line(text);
    clr::Backbone backbone;  // its weights do not matter
    std::string method, expected_head, expected_layers;
    std::uint64_t seed = 0, following = 0;
    int classes = 0;
    line >> backbone.arch >> backbone.classes >> method >> seed >> classes >> following >> expected_head >>
        expected_layers;
    backbone.weights["none"] = zeros({1});
    TorchGenerator generator(seed);
    const auto network = backbone.instantiate(method, classes, generator);
    EXPECT_EQ(generator.random_seed(), following);
    std::vector<std::byte> head, layers;
    for (const layers::Entry& e : network->head().own_tensors()) add(head, e);
    for (layers::Module* m : network->modules())
      if (dynamic_cast<layers::Reprogram*>(m) != nullptr)
        for (const layers::Entry& e : m->own_tensors()) add(layers, e);
    EXPECT_EQ(sha256_hex(head), expected_head);
    EXPECT_EQ(sha256_hex(layers), expected_layers);
  }
  EXPECT_EQ(lines, 60);
}

// A network without a backbone keeps its constructor's samples,
// and takes as many as one with a backbone.
TEST(TorchNumbers, scratch_draws_what_a_backbones_constructor_draws) {
  clr::Backbone none, backbone;
  none.arch = backbone.arch = "resnet20";
  backbone.weights["none"] = zeros({1});
  TorchGenerator a(5), b(5);
  const auto scratch = none.instantiate("scratch", 3, a), linear = backbone.instantiate("linear", 3, b);
  EXPECT_EQ(a, b);
  EXPECT_TRUE(
      std::ranges::equal(scratch->head().weight.values<float>(), linear->head().weight.values<float>()));
  std::vector<float> stem(27 * 16);
  TorchGenerator constructed(5);
  const auto network = layers::make_network("resnet20", 10);
  for (const layers::Entry& e : network->named_tensors())
    if (e.name.ends_with("weight") && e.tensor->rank() != 1) constructed.discard(e.tensor->numel());
  constructed.discard(10);  // the head's bias
  constructed.normal(stem, 0, std::sqrt(2.0 / 27));
  const auto* conv = dynamic_cast<layers::Conv2d*>(scratch->find("conv1"));
  const Tensor filter = layers::to_file_layout(conv->weight, FileLayout::conv);
  EXPECT_TRUE(std::ranges::equal(filter.values<float>(), stem));
}

struct Step {
  double loss = 0, cross_entropy = 0;
  std::string images;
};

// Reads the lines of a CSV whose last four columns are step, loss, cross_entropy, images.
std::vector<Step> steps_of(std::istream& in, const std::string& prefix) {
  std::vector<Step> steps;
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(prefix)) continue;
    std::istringstream fields(line.substr(prefix.size()));
    std::string number, loss, entropy, images;
    std::getline(fields, number, ',');
    std::getline(fields, loss, ',');
    std::getline(fields, entropy, ',');
    std::getline(fields, images);
    if (number == "val") loss = entropy = "0", images = "val " + images;
    if (number != "step") steps.push_back({std::stod(loss), std::stod(entropy), images});
  }
  return steps;
}

class TorchTraining : public testing::Test {
 protected:
  static constexpr int classes = 3, train_images = 20, val_images = 10;
  void SetUp() override {
    data::write_safetensors(dir / "backbone.safetensors", resnet20_by_formula(10));
    for (int i = 0; i < train_images + val_images; ++i) {
      const std::string folder = dir / ("data/" + std::string(i < train_images ? "train/" : "val/") +
                                        static_cast<char>('a' + i % classes));
      std::filesystem::create_directories(folder);
      write_text(folder + "/" + std::to_string(100 + i) + ".ppm", image_by_formula(i, 16));
    }
  }
  // Returns the options of a run. Those given replace the usual ones.
  std::vector<std::string> train(const std::string& run, std::map<std::string, std::string> options) const {
    options.insert({{"--backbone", dir / "backbone.safetensors"},
                    {"--data", dir / "data"},
                    {"--run", dir / run},
                    {"--log-steps", dir / (run + ".csv")},
                    {"--rng", "torch"},
                    {"--size", "16"},
                    {"--batch", "8"},
                    {"--epochs", "3"},
                    {"--lr-step", "1"}});
    std::vector<std::string> arguments{"train"};
    for (const auto& [name, value] : options) arguments.insert(arguments.end(), {name, value});
    return arguments;
  }
  const TempDir dir;
};

TEST_F(TorchTraining, orders_and_losses_are_pytorchs) {
  using Run = std::pair<std::string, std::string>;
  const Run runs[] = {{"clr", "0"}, {"clr", "27"}, {"side-conv", "27"}, {"clr-residual", "4294967301"}};
  for (const auto& [method, seed] : runs) {
    SCOPED_TRACE(method + " " + seed);
    const Outcome o = clr(train(method + seed, {{"--method", method}, {"--seed", seed}, {"--dtype", "f64"}}));
    ASSERT_EQ(o.status, 0) << o.err;
    std::ifstream golden(golden_file("training.csv")), ours(dir / (method + seed + ".csv"));
    auto expected = steps_of(golden, method + "," + seed + ",");
    std::erase_if(expected, [](const Step& s) { return s.images.starts_with("val"); });
    const auto got = steps_of(ours, "");
    ASSERT_EQ(expected.size(), 9U);
    ASSERT_EQ(got.size(), expected.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      EXPECT_EQ(got[i].images, expected[i].images) << "step " << i + 1;
      EXPECT_NEAR(got[i].loss, expected[i].loss, 1e-9) << "step " << i + 1;
      EXPECT_NEAR(got[i].cross_entropy, expected[i].cross_entropy, 1e-9) << "step " << i + 1;
    }
  }
}

// The last epoch's images, as `clr tasks` lists them, equal those of PyTorch's two loaders.
TEST_F(TorchTraining, the_order_can_be_listed) {
  const Outcome files = clr({"tasks", "--data", dir / "data", "--list", "data"});
  ASSERT_EQ(files.status, 0) << files.err;
  std::vector<std::string> train_lines, val_lines;
  std::istringstream in(files.out);
  for (std::string line; std::getline(in, line);)
    (line.starts_with("train") ? train_lines : val_lines).push_back(line);
  ASSERT_EQ(train_lines.size(), 20U);
  ASSERT_EQ(val_lines.size(), 10U);
  std::ifstream golden(golden_file("training.csv"));
  const auto steps = steps_of(golden, "side-conv,27,");
  ASSERT_EQ(steps.size(), 12U);
  std::string expected;
  for (std::size_t i = 8; i < 12; ++i) {
    std::istringstream images(steps[i].images);
    std::string word;
    if (i == 11) images >> word;
    for (std::size_t k = 0; images >> k;) expected += (i == 11 ? val_lines : train_lines).at(k) + "\n";
  }
  const std::vector<std::string> torch{"--rng",    "torch",    "--backbone", dir / "backbone.safetensors",
                                       "--method", "side-conv"};
  std::vector<std::string> arguments{"tasks", "--data", dir / "data", "--list", "data", "--seed", "27"};
  arguments.insert(arguments.end(), torch.begin(), torch.end());
  EXPECT_EQ(clr(arguments).status, 2) << "without --epoch";
  arguments.insert(arguments.end(), {"--epoch", "2"});
  const Outcome listed = clr(arguments);
  ASSERT_EQ(listed.status, 0) << listed.err;
  EXPECT_EQ(listed.out, expected);
}

// A run interrupted in the middle of its first or second epoch ends with the same bytes.
TEST_F(TorchTraining, a_resume_keeps_the_sequence) {
  const std::map<std::string, std::string> options{{"--seed", "5"}, {"--epochs", "9"}, {"--device", "cpu"}};
  const Outcome whole = clr(train("whole", options));
  ASSERT_EQ(whole.status, 0) << whole.err;
  const std::string task = "/tasks/data.safetensors";
  ASSERT_FALSE(read_text(dir / ("whole" + task)).empty());
  for (const int steps : {1, 5}) {
    const std::string run = "interrupted" + std::to_string(steps);
    {
      Running first(train(run, options));
      ASSERT_TRUE(wait_for_lines(dir / (run + ".csv"), steps + 1));
      first.send(SIGINT);
      ASSERT_EQ(first.wait(), 130) << "it was too fast to be interrupted";
    }
    EXPECT_NE(read_text(dir / (run + "/state/data.state")).find("generator"), std::string::npos);
    const Outcome again = clr(train(run, options));
    ASSERT_EQ(again.status, 0) << again.err;
    EXPECT_NE(again.out.find("resumed"), std::string::npos) << again.out;
    EXPECT_EQ(read_text(dir / (run + task)), read_text(dir / ("whole" + task)));
    EXPECT_EQ(read_text(dir / (run + ".csv")), read_text(dir / "whole.csv"));
  }
}

TEST_F(TorchTraining, a_run_is_of_one_kind) {
  ASSERT_EQ(clr(train("run", {{"--method", "linear"}})).status, 0);
  EXPECT_NE(read_text(dir / "run/run.json").find("\"rng\": \"torch\""), std::string::npos);
  const Outcome o = clr(train("run", {{"--method", "linear"}, {"--rng", "streams"}}));
  EXPECT_EQ(o.status, 1);
  EXPECT_NE(o.err.find("--rng"), std::string::npos) << o.err;
  EXPECT_EQ(clr(train("other", {{"--rng", "dice"}})).status, 2);
}

}  // namespace
}  // namespace reprise::test
