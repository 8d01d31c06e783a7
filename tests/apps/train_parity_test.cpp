// 20 steps of CLR training in double, laid beside what PyTorch computed: tests/golden/parity/generate.py
// makes the same network, start values and images by the same formulas.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <sstream>

#include "data/weights/layout.h"
#include "data/weights/weight_file.h"
#include "layers/network.h"
#include "tests/apps/train_support.h"

namespace reprise::test {
namespace {

constexpr int classes = 3, images = 24, size = 16, batch = 8, steps = 20;

// SplitMix64's finisher.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

// The i-th value of the noise of that name: in [-1,1), a multiple of 2^-20.
double noise(const std::string& name, std::int64_t i) {
  std::uint64_t h = 0xCBF29CE484222325u;
  for (const char c : name) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return static_cast<double>(mix(h ^ static_cast<std::uint64_t>(i)) >> 43) / 0x1p20 - 1;
}

double value(const std::string& name, const Shape& shape, std::int64_t i) {
  const double u = noise(name, i);
  if (name.ends_with("reprogram.weight")) return u / 8 + (i % 9 == 4 ? 1 : 0);
  const bool norm = name.find("bn") != std::string::npos;
  if (name.ends_with("running_var") || (norm && name.ends_with("weight"))) return 1 + u / 4;
  if (norm || name.starts_with("linear")) return u / 8;
  return u * (shape[1] == 3 ? 0.5 : shape[1] == 64 ? 0.0625 : 0.125);
}

data::NamedTensor by_formula(const std::string& name, const Shape& file_shape) {
  Tensor t = empty(file_shape);
  for (std::int64_t i = 0; i < t.numel(); ++i)
    t.mutable_data<float>()[i] = static_cast<float>(value(name, file_shape, i));
  return {name, t};
}

void write_inputs(const TempDir& dir) {
  const auto network = layers::make_network("resnet20", classes);
  std::vector<data::NamedTensor> backbone, start;
  for (const layers::Entry& e : network->named_tensors()) {
    const Shape shape = data::to_file_layout(*e.tensor, e.layout).shape();
    backbone.push_back(by_formula(e.name, shape));
    if (e.layout != FileLayout::conv) {
      start.push_back(backbone.back());
    } else {
      const std::string conv = e.name.substr(0, e.name.rfind('.'));
      start.push_back(by_formula(conv + ".reprogram.weight", {shape[0], 1, 3, 3}));
    }
  }
  data::write_safetensors(dir / "backbone.safetensors", backbone);
  data::write_safetensors(dir / "start.safetensors", start);
  for (int i = 0; i < images; ++i) {
    std::string pixels = "P6\n16 16\n255\n";
    for (std::int64_t p = 0; p < size * size * 3; ++p)
      pixels += static_cast<char>(std::floor((noise("image" + std::to_string(i), p) + 1) * 128));
    const std::string name = std::string(1, static_cast<char>('a' + i / (images / classes)));
    for (const std::string split : {"train", "val"}) {
      std::filesystem::create_directories(dir / ("data/" + split + "/" + name));
      write_text(dir / ("data/" + split + "/" + name + "/" + std::to_string(i + 100) + ".ppm"), pixels);
    }
  }
  std::string order;
  for (int step = 0; step < 21; ++step)
    for (int i = 0; i < batch; ++i)
      order +=
          std::to_string((step * batch + 5 * i) % images) + (step % 3 == 2 && i == batch - 1 ? "\n" : " ");
  write_text(dir / "order.txt", order);
}

std::vector<double> column(const std::string& csv, int index) {
  std::istringstream in(csv);
  std::string line;
  std::getline(in, line);
  std::vector<double> values;
  while (std::getline(in, line)) {
    std::istringstream fields(line);
    std::string field;
    for (int i = 0; i <= index; ++i) std::getline(fields, field, ',');
    values.push_back(std::stod(field));
  }
  return values;
}

TEST(Parity, losses_in_double_equal_pytorchs) {
  const TempDir dir;
  write_inputs(dir);
  const Outcome o = clr({"train",
                         "--backbone",
                         dir / "backbone.safetensors",
                         "--data",
                         dir / "data",
                         "--run",
                         dir / "run",
                         "--dtype",
                         "f64",
                         "--size",
                         "16",
                         "--batch",
                         "8",
                         "--epochs",
                         "7",
                         "--steps",
                         "20",
                         "--lr-step",
                         "100",
                         "--init",
                         dir / "start.safetensors",
                         "--order",
                         dir / "order.txt",
                         "--log-steps",
                         dir / "steps.csv"});
  ASSERT_EQ(o.status, 0) << o.err;
  const std::string golden =
      read_text(std::string(REPRISE_SOURCE_DIR) + "/tests/golden/parity/resnet20_f64.csv");
  const std::string ours = read_text(dir / "steps.csv");
  for (const int what : {1, 2}) {  // the loss, the cross-entropy
    const auto expected = column(golden, what), got = column(ours, what);
    ASSERT_EQ(expected.size(), std::size_t{steps});
    ASSERT_EQ(got.size(), expected.size());
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-9) << "step " << i + 1;
  }
}

}  // namespace
}  // namespace reprise::test
