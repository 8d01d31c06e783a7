// 20 steps of CLR training in double, compared with PyTorch's: tests/golden/parity/generate.py
// computes the same network, start values and images by the same formulas.
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

#include "data/weights/weight_file.h"
#include "tests/apps/by_formula.h"
#include "tests/apps/train_support.h"

namespace reprise::test {
namespace {

constexpr int classes = 3, images = 24, size = 16, batch = 8, steps = 20;

void write_inputs(const TempDir& dir) {
  const auto backbone = resnet20_by_formula(classes);
  std::vector<data::NamedTensor> start;
  for (const auto& tensor : backbone) {
    if (tensor.tensor.rank() != 4) {
      start.push_back(tensor);
    } else {
      const std::string conv = tensor.name.substr(0, tensor.name.rfind('.'));
      start.push_back(by_formula(conv + ".reprogram.weight", {tensor.tensor.dim(0), 1, 3, 3}));
    }
  }
  data::write_safetensors(dir / "backbone.safetensors", backbone);
  data::write_safetensors(dir / "start.safetensors", start);
  for (int i = 0; i < images; ++i) {
    const std::string pixels = image_by_formula(i, size);
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
