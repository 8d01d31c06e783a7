// `clr audit margin`: a whole network by hand, what it refuses, and every variant below its bounds.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/clr/audit/margin_bounds.h"
#include "engine/base/error.h"
#include "engine/ops/ops.h"
#include "layers/batch_norm.h"
#include "layers/conv2d.h"
#include "tests/apps/train_support.h"

namespace reprise::test {
namespace {

using nlohmann::json;
using reprise::clr::bound_margins;
using reprise::clr::ImageMargin;

// Images of one pixel -> convolution 3 -> 2 -> batch norm -> ReLU (or GELU) -> mean -> 2 classes.
class Small : public layers::Network {
 public:
  Small(bool gelu, const Tensor& weight, const Tensor& bias)
      : conv_(child<layers::Conv2d>("conv", 3, 2, 1, layers::Conv2dOptions{.bias = false})),
        bn_(child<layers::BatchNorm2d>("bn", 2)),
        gelu_(gelu) {
    head_ = &child<layers::Linear>("head", 2, static_cast<int>(bias.numel()));
    copy_into(conv_.weight, tensor({2, 1, 1, 3}, {1, -2, 3, 2, 1, 1}));
    copy_into(bn_.weight, tensor({2}, {2, 1}));
    copy_into(bn_.bias, tensor({2}, {1, 3}));
    copy_into(bn_.running_mean, tensor({2}, {0.5, -1}));
    copy_into(bn_.running_var, tensor({2}, {4, 1}));
    copy_into(head_->weight, weight);
    copy_into(head_->bias, bias);
  }
  Tensor features(const Tensor& x) override {
    const Tensor y = bn_(conv_(x));
    return ops::global_avg_pool(gelu_ ? ops::gelu(y) : ops::relu(y));
  }
  const std::string& arch() const override { return name_; }
  int default_size() const override { return 1; }

 private:
  const std::string name_ = "small";
  layers::Conv2d& conv_;
  layers::BatchNorm2d& bn_;
  bool gelu_;
};

std::unique_ptr<Small> small(bool gelu = false, const Tensor& weight = tensor({2, 2}, {3, -1, 1, 1}),
                             const Tensor& bias = tensor({2}, {0.25, -0.5})) {
  auto network = std::make_unique<Small>(gelu, weight, bias);
  network->to(DType::f64);
  network->to(ref_device);
  return network;
}

TEST(MarginBounds, AWholeNetworkByHand) {
  const Tensor image = tensor<std::uint8_t>({1, 1, 1, 3}, {200, 100, 250});
  const auto f32 = [](float value) { return static_cast<double>(value); };
  const double mean[3] = {f32(0.485F), f32(0.456F), f32(0.406F)},
               std[3] = {f32(0.229F), f32(0.224F), f32(0.225F)}, pixel[3] = {200, 100, 250};
  const double w[2][3] = {{1, -2, 3}, {2, 1, 1}},
               scale[2] = {2 / std::sqrt(4 + 1e-5), 1 / std::sqrt(1 + 1e-5)}, beta[2] = {1, 3},
               centre[2] = {0.5, -1}, head[2][2] = {{3, -1}, {1, 1}}, bias[2] = {0.25, -0.5};
  double x[3], conv[2], size[2], y[2], g[2], z[2], worst = 0, squares = 0;
  // An error of n roundings of t, weighed by the margin's gradient.
  const auto add = [&](double gradient, double n, double t) {
    worst += std::abs(gradient) * n * t, squares += n * std::pow(gradient * t, 2);
  };
  for (int i = 0; i < 3; ++i) x[i] = (pixel[i] / 255 - mean[i]) / std[i];
  for (int o = 0; o < 2; ++o) {
    conv[o] = w[o][0] * x[0] + w[o][1] * x[1] + w[o][2] * x[2];
    size[o] = std::abs(w[o][0] * x[0]) + std::abs(w[o][1] * x[1]) + std::abs(w[o][2] * x[2]);
    y[o] = (conv[o] - centre[o]) * scale[o] + beta[o];
    ASSERT_GT(y[o], 0);  // so that the ReLU passes the gradient
  }
  for (int k = 0; k < 2; ++k) z[k] = head[k][0] * y[0] + head[k][1] * y[1] + bias[k];
  ASSERT_GT(z[0], z[1]);
  for (int o = 0; o < 2; ++o) {
    g[o] = head[0][o] - head[1][o];
    add(g[o], 2, y[o]);                                          // the mean
    add(g[o], 6, std::abs(y[o] - beta[o])), add(g[o], 1, y[o]);  // batch norm
    add(g[o] * scale[o], 3, size[o]);                            // the convolution
    add(1, 3, std::abs(head[o][0]) * y[0] + std::abs(head[o][1]) * y[1] + std::abs(bias[o]));  // the head
  }
  for (int i = 0; i < 3; ++i) {
    const double gradient = g[0] * scale[0] * w[0][i] + g[1] * scale[1] * w[1][i];
    add(gradient, 2, std::abs(x[i])), add(gradient, 1, pixel[i] / 255 / std[i]);
  }
  std::map<std::string, double> layers;
  const auto network = small();
  const ImageMargin m = bound_margins(*network, image, {.lambda = 3, .second = true}, layers)[0];
  EXPECT_EQ(m.label, 0);
  EXPECT_NEAR(m.margin, z[0] - z[1], 1e-12);
  EXPECT_NEAR(m.bound.worst / (0x1p-24 * worst), 1, 1e-9);
  EXPECT_NEAR(m.bound.probable / (3 * 0x1p-24 * std::sqrt(squares)), 1, 1e-9);
  EXPECT_EQ(m.verdict(), "yes");
  EXPECT_NEAR(m.fall, 1, 1e-5);
  EXPECT_NEAR(m.moved_bound, 1, 1e-5);
  double sum = 0;
  for (const auto& [layer, bound] : layers) sum += bound;
  EXPECT_EQ(layers.size(), 5u);
  EXPECT_TRUE(layers.contains("conv conv2d") && layers.contains("normalize_images"));
  EXPECT_NEAR(sum, m.bound.worst, 1e-12);
}

TEST(MarginBounds, AnOpWithoutABoundIsNamed) {
  std::map<std::string, double> layers;
  const auto network = small(true);
  try {
    bound_margins(*network, noise_images(2, 1), {}, layers);
    FAIL() << "gelu has a bound";
  } catch (const Error& e) {
    EXPECT_SAYS(std::string(e.what()), "the op gelu says no bound");
  }
}

TEST(MarginBounds, AnImageDoesNotDependOnItsBatch) {
  std::map<std::string, double> layers;
  const auto network = small();
  for (const std::int64_t count : {5, 32, 33}) {  // a batch has 32
    const Tensor images = noise_images(count, 2);
    const auto all = bound_margins(*network, images, {}, layers);
    const auto one = bound_margins(*network, images.rows(count - 1, count), {}, layers);
    ASSERT_EQ(std::ssize(all), count);
    EXPECT_EQ(all.back().margin, one[0].margin);
    EXPECT_EQ(all.back().bound.worst, one[0].bound.worst);
  }
}

TEST(MarginBounds, ClassesThatNothingTellsApart) {
  std::map<std::string, double> layers;
  const auto examined = [&](const Tensor& weight, const Tensor& bias) {
    return bound_margins(*small(false, weight, bias), noise_images(1, 1), {.every = true}, layers)[0];
  };
  EXPECT_SAYS(error_of([&] { examined(ones({1, 2}), ones({1})); }), "a task of one class has no margins");
  // Neither the answers nor their rounding: the first class is the answer, without a certificate.
  const ImageMargin zero = examined(zeros({2, 2}), zeros({2}));
  EXPECT_EQ(std::tuple(zero.label, zero.rival, zero.margin, zero.bound.worst), std::tuple(0, 1, 0., 0.));
  EXPECT_EQ(zero.verdict(), "no");
  // Two rivals that are alike: the first of them.
  const ImageMargin alike = examined(tensor({3, 2}, {1, 1, 3, 3, 1, 1}), tensor({3}, {0, 10, 0}));
  EXPECT_EQ(std::tuple(alike.label, alike.rival, alike.examined), std::tuple(1, 0, 2));
  EXPECT_EQ(alike.verdict(), "yes");
}

// A further class is examined while its margin is at most 8 times the largest bound so far, and while
// no margin is below its probable bound.
TEST(MarginBounds, FurtherClassesAreExaminedIfTheyAreNear) {
  std::map<std::string, double> layers;
  const Tensor image = tensor<std::uint8_t>({1, 1, 1, 3}, {200, 100, 250});
  const auto examined = [&](double second, double third, const reprise::clr::MarginOptions& options) {
    const auto bias = tensor({3}, {0, static_cast<float>(-second), static_cast<float>(-third)});
    return bound_margins(*small(false, ones({3, 2}), bias), image, options, layers)[0];
  };
  const double bound = examined(0, 0, {}).bound.worst;
  for (const auto& [second, third, exact, every, lambda, count, verdict] :
       {std::tuple(1.5, 4., true, false, 0.001, 2, "yes"),
        {1.5, 4., false, false, 0.001, 2, "probably"},
        {1.5, 7.5, true, false, 0.001, 2, "yes"},
        {1.5, 8.5, true, false, 0.001, 1, "yes"},
        {1.5, 8.5, true, true, 0.001, 2, "yes"},
        {0.5, 4., true, false, 0.001, 2, "probably"},
        {0.5, 4., true, true, 100., 1, "no"}}) {
    const ImageMargin m =
        examined(second * bound, third * bound, {.exact = exact, .lambda = lambda, .every = every});
    EXPECT_EQ(m.examined, count) << second << " " << third;
    EXPECT_EQ(m.verdict(), verdict) << second << " " << third;
    EXPECT_EQ(m.rival, 1);
  }
}

class Margin : public testing::Test {
 protected:
  void SetUp() override {
    write_tiny_backbone(dir / "backbone.safetensors");
    for (const std::string task : {"circles", "dots"}) write_task(dir / "data", task);
    ASSERT_EQ(
        clr({"train", "--backbone", dir / "backbone.safetensors", "--data", dir / "data", "--run",
             dir / "run", "--size", "16", "--epochs", "3", "--batch", "5", "--quiet", "--device", "cpu"})
            .status,
        0);
  }
  json margin(std::vector<std::string> more, int status = 0) const {
    std::vector<std::string> words{"audit",    "margin",     "--run",  dir / "run",
                                   "--images", dir / "data", "--json", "--every-class"};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome o = clr(words);
    EXPECT_EQ(o.status, status) << o.out << o.err;
    return json::parse(o.out);
  }
  const TempDir dir;
};

// Every variant of this machine stays below both bounds, and changes no certified class.
TEST_F(Margin, VariantsStayBelowTheirBounds) {
  for (const std::string dtype : {"f32", "bf16"}) {
    const json j = margin({"--dtype", dtype, "--variants", "--count", "9"});
    ASSERT_GE(j["variants"].size(), dtype == "f32" ? 5u : 4u);
    for (const json& v : j["variants"]) {
      EXPECT_EQ(v["of_worst"].size(), 18u);
      EXPECT_LT(v["largest_of_worst"], dtype == "f32" ? 0.01 : 0.2) << v["variant"];
      EXPECT_LT(v["largest_of_probable"], 0.6) << v["variant"];
      EXPECT_GT(v["largest_of_probable"], 1e-4) << v["variant"];
      EXPECT_EQ(v["though_certified"], 0) << v["variant"];
    }
    ASSERT_EQ(j["tasks"].size(), 2u);
    for (const json& task : j["tasks"]) {
      double sum = 0;
      for (const json& layer : task["layers"]) sum += layer["share"].get<double>();
      EXPECT_NEAR(sum, 1, 1e-9);
      // 19 convolutions with filter and batch norm, 9 sums, the image, the mean and the head
      EXPECT_EQ(task["layers"].size(), 3 * 19 + 9 + 3u);
      std::map<std::string, int> counted;
      std::vector<double> margins;
      for (const json& image : task["images"]) {
        EXPECT_EQ(image["classes_examined"], image["certified"] == "no" ? 1 : 2) << image;
        const std::string path = image["path"], verdict = image["certified"];
        const double margin = image["margin"], worst = image["worst"], probable = image["probable"];
        EXPECT_EQ(verdict, margin > worst ? "yes" : margin > probable ? "probably" : "no") << image;
        margins.push_back(margin);
        for (const std::string kind : {"certified", "certified_correct"}) {
          if (kind == "certified_correct" &&
              path.find("/" + image["class"].get<std::string>() + "/") == path.npos)
            continue;
          ++counted[kind + " images"];
          counted[kind + " worst"] += verdict == "yes", counted[kind + " probable"] += verdict != "no";
        }
      }
      for (const std::string kind : {"certified", "certified_correct"})
        for (const std::string what : {"images", "worst", "probable"})
          EXPECT_EQ(task[kind][what], counted[kind + " " + what]) << kind << " " << what;
      std::sort(margins.begin(), margins.end());
      EXPECT_EQ(task["median_margin"], margins[margins.size() / 2]);
    }
  }
  EXPECT_EQ(json::parse(read_text(dir / "run/margins.json"))["tasks"][0]["certified"]["images"], 9);
  ASSERT_EQ(clr({"report", dir / "run", "--html", dir / "report.html"}).status, 0);
  const std::string page = read_text(dir / "report.html");
  for (const char* part :
       {"Could rounding change an answer?", "what rounding in bf16 can", "cpu blocks", ", 0 changed"})
    EXPECT_SAYS(page, part);
  // A task that was learned anew is not the one that was examined.
  json margins = json::parse(read_text(dir / "run/margins.json"));
  margins["tasks"][0]["sha256"] = "another";
  write_text(dir / "run/margins.json", margins.dump());
  ASSERT_EQ(clr({"report", dir / "run", "--html", dir / "report.html"}).status, 0);
  EXPECT_SAYS(read_text(dir / "report.html"), "changed since clr audit margin: 1.");
  write_text(dir / "run/margins.json", R"({"tasks": 3})");
  EXPECT_SAYS(clr({"report", dir / "run", "--html", dir / "report.html"}).err, "margins.json is damaged");
}

TEST_F(Margin, CpuComputesTheSameBounds) {
  const json exact = margin({"--second-order"}), fast = margin({"--device", "cpu"});
  for (std::size_t i = 0; i < exact["tasks"][0]["images"].size(); ++i) {
    const json &a = exact["tasks"][0]["images"][i], &b = fast["tasks"][0]["images"][i];
    EXPECT_NEAR(a["worst"].get<double>() / b["worst"].get<double>(), 1, 1e-3);
    EXPECT_NEAR(a["probable"].get<double>() / b["probable"].get<double>(), 1, 1e-3);
  }
  EXPECT_NEAR(exact["tasks"][0]["median_fall"].get<double>(), 1, 0.1);
  EXPECT_NEAR(exact["tasks"][0]["median_moved_bound"].get<double>(), 1, 0.1);
}

TEST_F(Margin, TablesAndPredictions) {
  const std::string task = dir / "run/tasks/dots.safetensors", images = dir / "data/dots";
  const Outcome o = clr({"audit", "margin", "--task", task, "--images", images, "--count", "3"});
  EXPECT_EQ(o.status, 0) << o.err;
  for (const char* part :
       {"cost: dots: 3 images of 16x16", "rival", "dots: of 3 images certified ", "of the worst bounds: "})
    EXPECT_SAYS(o.out + o.err, part);
  std::size_t layers = 0;
  for (std::size_t at = 0; (at = o.out.find(" of the worst bounds: ", at)) != std::string::npos; ++at)
    ++layers;
  EXPECT_EQ(layers, 5u) << "the largest ones";
  // Of images outside their classes' folders, none can be said to be right.
  std::filesystem::create_directories(dir / "flat");
  std::filesystem::copy_file(images + "/class0/0.ppm", dir / "flat/0.ppm");
  const Outcome flat =
      clr({"audit", "margin", "--task", task, "--images", dir / "flat", "--device", "ref", "--quiet"});
  EXPECT_EQ(flat.status, 0) << flat.err;
  EXPECT_SAYS(flat.out, "dots: of 1 images certified ");
  EXPECT_EQ(flat.out.find("class's folder"), std::string::npos) << flat.out;
  const Outcome p = clr(
      {"predict", "--task", task, "--certify", "--json", images + "/class0/0.ppm", images + "/class1/0.ppm"});
  EXPECT_EQ(p.status, 0) << p.err;
  const json predicted = json::parse(p.out);
  ASSERT_EQ(predicted["images"].size(), 2u);
  for (const json& image : predicted["images"]) EXPECT_EQ(image["certified"], "yes") << image;
  EXPECT_SAYS(clr({"predict", "--task", task, "--certify", "--dtype", "bf16", images + "/class0/0.ppm"}).out,
              "certified");
}

TEST_F(Margin, WrongUsage) {
  EXPECT_EQ(clr({"audit", "margin", "--images", dir / "data"}).status, 2);
  const std::string task = dir / "run/tasks/dots.safetensors";
  EXPECT_EQ(clr({"audit", "margin", "--task", task, "--images", dir / "data", "--dtype", "f64"}).status, 2);
  for (const auto& [option, value] :
       {std::pair("--device", "cuda"), {"--lambda", "0"}, {"--lambda", "1000000"}, {"--lambda", "x"}})
    EXPECT_EQ(clr({"audit", "margin", "--task", task, "--images", dir / "data", option, value}).status, 2)
        << option << value;
  const Outcome o = clr({"audit", "margin", "--task", task, "--images", dir / "run/tasks"});
  EXPECT_EQ(o.status, 1);
  EXPECT_SAYS(o.err, "no image lies in this folder");
}

}  // namespace
}  // namespace reprise::test
