// Files written by PyTorch and the safetensors package (tests/golden/make_weights.py), and files of
// ours that these read (tests/golden/check_weights.py).
#include <algorithm>
#include <cmath>
#include <filesystem>

#include "tests/data/temporary_folder.h"
#include "tests/data/weights_files.h"

namespace reprise::data::testing_weights {
namespace {

class Golden : public ::testing::TestWithParam<std::string> {};

TEST_P(Golden, HoldsWhatPyTorchPutIn) {
  const auto& want = expectations()["files"][GetParam()];
  const WeightFile file = read_weights(golden_path(GetParam()));
  EXPECT_EQ(file.format, want["format"]);
  EXPECT_EQ(file.section, want["section"]);
  std::vector<std::string> skipped = file.skipped;
  std::sort(skipped.begin(), skipped.end());
  EXPECT_EQ(skipped, want["skipped"].get<std::vector<std::string>>());
  EXPECT_EQ(file.tensors.size(), want["tensors"].size());
  for (const auto& [name, about] : want["tensors"].items()) {
    const Tensor* t = file.find(name);
    ASSERT_NE(t, nullptr) << name;
    EXPECT_EQ(name_of(t->dtype()), about[0].get<std::string>()) << name;
    EXPECT_EQ(t->shape(), Shape(about[1].get<std::vector<std::int64_t>>())) << name;
    EXPECT_EQ(sha256_hex(t->raw_bytes()), about[2]) << name;
  }
  const std::map<std::string, std::string> metadata =
      want.contains("metadata") ? want["metadata"].get<std::map<std::string, std::string>>()
                                : std::map<std::string, std::string>{};
  EXPECT_EQ(file.metadata, metadata);
}

class Refused : public ::testing::TestWithParam<std::string> {};

TEST_P(Refused, IsRefusedByName) {
  const std::string reason = refusal(read_file(golden_path(GetParam())));
  EXPECT_NE(reason.find(expectations()["refused"][GetParam()].get<std::string>()), std::string::npos)
      << reason;
}

std::vector<std::string> names_in(const char* part) {
  std::vector<std::string> names;
  for (const auto& [name, about] : expectations()[part].items()) names.push_back(name);
  return names;
}
std::string test_name(const ::testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Weights, Golden, ::testing::ValuesIn(names_in("files")), test_name);
INSTANTIATE_TEST_SUITE_P(Weights, Refused, ::testing::ValuesIn(names_in("refused")), test_name);

TEST(WeightsGolden, ConversionsAreListed) {
  const WeightFile file = read_weights(golden_path("odd_zip.pt"));
  const std::vector<std::string> want = {"f16: f16, read as f32", "i32: i32, read as i64",
                                         "i16: i16, read as i64", "i8: i8, read as i64",
                                         "bool: bool, read as u8"};
  EXPECT_EQ(file.converted, want);
  EXPECT_EQ(file.tensors.front().name, "f32");  // the file's order
}

TEST(WeightsGolden, OurPthIsWhatPyTorchReads) {
  EXPECT_EQ(text_from(to_pth(our_tensors())), text_from(read_file(golden_path("ours.pth"))));
}

TEST(WeightsGolden, OurSafetensorsIsWhatThePackageReads) {
  const Bytes bytes = to_safetensors(our_tensors(), our_metadata());
  EXPECT_EQ(text_from(bytes), text_from(read_file(golden_path("ours.safetensors"))));
  auto reversed = our_tensors();
  std::reverse(reversed.begin(), reversed.end());
  EXPECT_EQ(text_from(to_safetensors(reversed, our_metadata())), text_from(bytes));
}

TEST(WeightsGolden, RoundTripsThroughFiles) {
  const TemporaryFolder folder;
  write_pth(folder.path("a.pth"), our_tensors());
  write_safetensors(folder.path("a.safetensors"), our_tensors(), our_metadata());
  for (const char* name : {"a.pth", "a.safetensors"}) {
    const WeightFile file = read_weights(folder.path(name));
    EXPECT_EQ(file.tensors.size(), our_tensors().size());
    EXPECT_EQ(file.path, folder.path(name));
    EXPECT_EQ(file.file_sha256, sha256_hex(read_file(folder.path(name))));
    EXPECT_TRUE(file.skipped.empty() && file.converted.empty());
    for (const auto& [key, want] : our_tensors()) {
      ASSERT_NE(file.find(key), nullptr) << key;
      EXPECT_EQ(describe(*file.find(key)), describe(want));
      EXPECT_TRUE(std::ranges::equal(file.find(key)->raw_bytes(), want.raw_bytes())) << key;
    }
  }
  EXPECT_EQ(read_weights(folder.path("a.safetensors")).metadata, our_metadata());
}

TEST(WeightsGolden, HalvesAreTheNearestOnes) {
  const auto halved = [](std::span<const float> numbers) {
    const Bytes bytes = to_safetensors({{"x", tensor({std::ssize(numbers)}, numbers)}}, {}, /*halves=*/true);
    return parse_weights(bytes, "x").tensors.at(0).tensor;
  };
  // All finite halves keep their bits; halfway between two neighbours goes to the even one.
  std::vector<float> exact, between, even;
  for (int bits = 0; bits < 0x7C00; ++bits) {
    const int exponent = std::max(bits >> 10, 1);
    exact.push_back(std::ldexp(static_cast<float>((bits & 1023) + (bits >= 1024 ? 1024 : 0)), exponent - 25));
  }
  for (std::size_t i = 0; i + 1 < exact.size(); ++i) {
    between.insert(between.end(), {(exact[i] + exact[i + 1]) / 2, -std::nextafter(exact[i], exact[i + 1])});
    even.insert(even.end(), {exact[i + i % 2], -exact[i]});
  }
  const float infinity = std::numeric_limits<float>::infinity();
  const float large[] = {65519.99F, 65520, std::nanf(""), infinity, -infinity};
  EXPECT_TRUE(std::ranges::equal(halved(exact).values<float>(), exact));
  EXPECT_TRUE(std::ranges::equal(halved(between).values<float>(), even));
  const Tensor rounded = halved(large);
  EXPECT_EQ(rounded.data<float>()[0], 65504);
  EXPECT_TRUE(std::isinf(rounded.data<float>()[1]));
  EXPECT_TRUE(std::isnan(rounded.data<float>()[2]));
  EXPECT_EQ(rounded.data<float>()[3], infinity);
  EXPECT_EQ(rounded.data<float>()[4], -infinity);
}

TEST(WeightsGolden, WritersRefuseWhatCannotBeRead) {
  const std::vector<NamedTensor> twice = {{"a", ones({1})}, {"a", ones({1})}};
  EXPECT_THROW(to_pth(twice), Error);
  EXPECT_THROW(to_safetensors(twice), Error);
  EXPECT_THROW(to_safetensors({{"__metadata__", ones({1})}}), Error);
  EXPECT_THROW(to_safetensors({{"\xff", ones({1})}}), Error);
}

// Each tensor's bytes as PyTorch reads them, in tests/golden/weights/real_backbones.txt.
TEST(WeightsReal, EqualWhatPyTorchReads) {
  const std::string folder = std::string(REPRISE_SOURCE_DIR) + "/../shared/real/backbones/";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no real backbones at " << folder;
  std::ifstream list(golden_path("real_backbones.txt"));
  std::map<std::string, WeightFile> files;
  std::map<std::string, std::size_t> seen;
  std::string name, tensor, sha;
  while (list >> name >> tensor >> sha) {
    if (!files.contains(name)) files[name] = read_weights(folder + name);
    const Tensor* t = files[name].find(tensor);
    ASSERT_NE(t, nullptr) << name << " " << tensor;
    EXPECT_EQ(sha256_hex(t->raw_bytes()), sha) << name << " " << tensor;
    ++seen[name];
  }
  EXPECT_EQ(files.size(), 3u);
  for (const auto& [file, count] : seen) EXPECT_EQ(count, files[file].tensors.size()) << file;
  const WeightFile& legacy = files["resnet20-12fca82f.th"];
  EXPECT_EQ(legacy.format, "pth-legacy");
  EXPECT_EQ(legacy.section, "state_dict");
  ASSERT_EQ(legacy.skipped.size(), 1u);
  EXPECT_EQ(legacy.skipped[0], "best_prec1: a number (91.78)");
}

}  // namespace
}  // namespace reprise::data::testing_weights
