// Details of the readers that no file of tests/golden covers, found with tests/planted_faults.py.
#include <fmt/format.h>

#include <string>

#include "data/weights/pickle.h"
#include "data/weights/tar.h"
#include "tests/data/torch_files.h"
#include "tests/data/weights_files.h"

namespace reprise::data::testing_weights {
namespace {

using namespace std::string_literals;

std::int64_t integer_of(const std::string& opcodes) {
  const Bytes bytes = bytes_from(opcodes);
  PickleHeap heap;
  std::size_t position = 0;
  const PickleValue* value = run_pickle(bytes, position, heap);
  EXPECT_EQ(value->kind, PickleValue::Kind::integer);
  return value->integer;
}

TEST(PickleDetails, LongNumbersHaveASign) {
  EXPECT_EQ(integer_of("\x8a\x00."s), 0);
  EXPECT_EQ(integer_of("\x8a\x01\x7f."s), 127);
  EXPECT_EQ(integer_of("\x8a\x01\xff."s), -1);
  EXPECT_EQ(integer_of("\x8a\x02\x00\x80."s), -32768);
  EXPECT_EQ(integer_of("\x8a\x02\xff\x00."s), 255);
  EXPECT_EQ(integer_of("\x8a\x08\xfe\xff\xff\xff\xff\xff\xff\xff."s), -2);
}

// Builds a tar header for one regular file. `end` is the last byte of the checksum field, which the
// checksum itself counts as a blank.
std::string tar_header(const std::string& name, std::size_t size, char end) {
  std::string header(512, '\0');
  const auto put = [&](std::size_t at, const std::string& text) { header.replace(at, text.size(), text); };
  put(0, name);
  put(124, fmt::format("{:011o}", size));
  put(148, std::string(8, ' '));
  put(156, "0");
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  put(148, fmt::format("{:06o}", sum) + (end == '\0' ? " \0"s : "\0 "s));
  return header;
}

TEST(TarDetails, SizesOfWholeBlocksAndBothEndsOfAChecksum) {
  for (const char end : {'\0', ' '}) {
    const std::string text = tar_header("one", 512, end) + std::string(512, 'x') + tar_header("two", 1, end) +
                             "y" + std::string(511, '\0') + tar_header("three", 0, end) +
                             std::string(1024, '\0');
    const Bytes bytes = bytes_from(text);
    const auto members = read_tar(bytes);
    ASSERT_EQ(members.size(), 3u);
    EXPECT_EQ(members.at("one").size(), 512u);
    EXPECT_EQ(members.at("two").front(), std::byte{'y'});
    EXPECT_TRUE(members.at("three").empty());
  }
}

TEST(WeightsDetails, IntegersOfEveryWidthAndSign) {
  const std::pair<const char*, std::vector<std::int64_t>> types[] = {
      {"U8", {254, 255}},  {"U16", {0xFEFE, 0xFFFF}}, {"U32", {0xFEFEFEFE, 0xFFFFFFFF}}, {"I8", {-2, -1}},
      {"I16", {-258, -1}}, {"I32", {-16843010, -1}},  {"I64", {-72340172838076674, -1}}};
  for (const auto& [type, expected] : types) {
    const std::size_t width = std::string_view(type).ends_with("8") ? 1 : std::stoul(type + 1) / 8;
    const std::string header = fmt::format(R"({{"a":{{"dtype":"{}","shape":[2],"data_offsets":[0,{}]}}}})",
                                           type, 2 * width),
                      content = le<std::uint64_t>(header.size()) + header + std::string(width, '\xFE') +
                                std::string(width, '\xFF');
    const Tensor a = parse_weights(bytes_from(content), "test").find("a")->to(cpu_device);
    const std::vector<std::int64_t> got =
        a.dtype() == DType::i64
            ? std::vector(a.values<std::int64_t>().begin(), a.values<std::int64_t>().end())
            : std::vector<std::int64_t>(a.values<std::uint8_t>().begin(), a.values<std::uint8_t>().end());
    EXPECT_EQ(got, expected) << type;
  }
}

}  // namespace
}  // namespace reprise::data::testing_weights
