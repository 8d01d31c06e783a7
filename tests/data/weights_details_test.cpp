// Details of the readers that no file of tests/golden covers, found with tests/planted_faults.py.
#include <fmt/format.h>

#include <bit>
#include <string>

#include "data/weights/pickle.h"
#include "data/weights/recognise.h"
#include "data/weights/tar.h"
#include "tests/data/expect_says.h"
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

TEST(PickleDetails, OpcodesWithWideArguments) {
  EXPECT_EQ(integer_of("\x8b" + le<std::uint32_t>(2) + "\xff\x7f."), 32767) << "LONG4";
  const std::string index = le<std::uint32_t>(256);
  EXPECT_EQ(integer_of("K\x07r" + index + "0j" + index + "."), 7) << "LONG_BINPUT, POP, LONG_BINGET";
  const Bytes bytes = bytes_from("\x8d" + le<std::uint64_t>(2) + "xy.");
  PickleHeap heap;
  std::size_t position = 0;
  EXPECT_EQ(describe(*run_pickle(bytes, position, heap)), "a text (\"xy\")") << "BINUNICODE8";
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

TEST(TarDetails, ATarMayHoldNoStorageAndNoTensor) {
  const auto says = [](const std::string& storages, const std::string& tensors) {
    const auto member = [](const std::string& name, const std::string& pickles) {
      return tar_header(name, pickles.size(), '\0') + pickles + std::string(512 - pickles.size(), '\0');
    };
    const std::string system =
        "}" + text("protocol_version") + integer(1000) + "s" + text("little_endian") + "\x88s.";
    return refusal(bytes_from(member("sys_info", system) + member("pickle", "}.") +
                              member("storages", integer(0) + storages + ".].") +
                              member("tensors", integer(0) + tensors + ".") + std::string(1024, '\0')));
  };
  const std::string none, negative = "0" + integer(-1);
  testing::expect_says(says(none, none), "It holds nothing");
  testing::expect_says(says(negative, none), "a number of records is a number (-1)");
  testing::expect_says(says(none, negative), "a number of records is a number (-1)");
}

const std::string legacy_magic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

TEST(WeightsDetails, ALegacyFileBeginsWithItsMagicAndItsProtocol) {
  const auto says = [](const std::string& first, const std::string& protocol) {
    return refusal(bytes_from("\x80\x02" + first + "." + protocol + ".N."));
  };
  const std::string magic = "\x8a\x0a" + legacy_magic,
                    no_magic = "its first pickle is not torch.save's magic";
  testing::expect_says(says("\x8a\x0b" + legacy_magic + "\x01", integer(1001)), no_magic);
  testing::expect_says(says(text(legacy_magic), integer(1001)), no_magic);
  testing::expect_says(says(magic, integer(1002)), "protocol is a number (1002); expected 1001");
  testing::expect_says(says(magic, "N"), "protocol is None; expected 1001");
}

TEST(WeightsDetails, StoragesOfATar) {
  const auto says = [](const std::string& storages) {
    const auto member = [](const std::string& name, const std::string& pickles) {
      return tar_header(name, pickles.size(), '\0') + pickles + std::string(512 - pickles.size(), '\0');
    };
    const std::string system =
        "}" + text("protocol_version") + integer(1000) + "s" + text("little_endian") + "\x88s.";
    return refusal(bytes_from(member("sys_info", system) + member("pickle", "}.") +
                              member("storages", storages) + member("tensors", integer(0) + ".") +
                              std::string(1024, '\0')));
  };
  const std::string one = integer(1) + ".", key = "(" + text("k") + text("cpu"), end = "].",
                    floats = key + global("torch", "FloatStorage") + "t.";
  const std::pair<std::string, const char*> cases[] = {
      {one + floats + le<std::int64_t>(0) + end, "It holds nothing"},
      {one + floats + le<std::int64_t>(1) + "1234" + end, "It holds nothing"},
      {one + floats + le<std::int64_t>(-1) + end, "the storage k has -1 elements"},
      {one + "](NNNe." + end, "expected a record of three, got a list of 3"},
      {one + "NN\x86." + end, "expected a record of three, got a tuple of 2"},
      {one + key + global("os", "system") + "t." + le<std::int64_t>(0) + end, "the storage k is of type"},
      {one + key + "Nt." + le<std::int64_t>(0) + end, "the storage k is of type None"},
      {integer(0) + ".](Ne.", "the file's storages have views"},
      {integer(0) + ".N.", "the file's storages have views"},
  };
  for (const auto& [storages, message] : cases) testing::expect_says(says(storages), message);
}

TEST(WeightsDetails, SizesAndStridesAreTuplesOfIntegers) {
  TorchFile f;
  const std::string two = "K\x02\x85", one = "K\x01\x85";
  const std::pair<std::string, std::string> cases[] = {{two, one},
                                                       {"](K\x02"
                                                        "e",
                                                        one},
                                                       {two,
                                                        "](K\x01"
                                                        "e"},
                                                       {text("x") + "\x85", one},
                                                       {two, "N\x85"}};
  TorchFile::Items items;
  for (const auto& [sizes, strides] : cases)
    items.emplace_back("a" + std::to_string(items.size()), global("torch._utils", "_rebuild_tensor_v2") +
                                                               "(" + f.storage({1, 2}) + "K\0"s + sizes +
                                                               strides + "\x89}tR");
  const WeightFile file = parse_weights(bytes_from(f.file(TorchFile::dict(items))), "test");
  EXPECT_EQ(file.tensors.size(), 1U);
  for (std::size_t i = 1; i < items.size(); ++i)
    EXPECT_EQ(file.unread.at(items[i].first), "a tensor of an unknown form") << i;
}

TEST(WeightsDetails, EntriesOfSafetensorsHaveThreeFields) {
  const std::string size = R"("shape":[1])", place = R"("data_offsets":[0,1])", type = R"("dtype":"U8")";
  for (const std::string& entry :
       {"{" + type + "," + size + "}", "{" + size + "," + place + R"(,"kind":"U8"})",
        R"({"dtype":1,)" + size + "," + place + "}", "{" + type + "," + place + R"(,"x":1})",
        "{" + type + "," + size + R"(,"x":1})", std::string("[1,2,3]"), std::string("3")}) {
    const std::string header = R"({"a":)" + entry + "}";
    testing::expect_says(refusal(bytes_from(le<std::uint64_t>(header.size()) + header + "x")),
                         "a: expected an object with dtype, shape and data_offsets");
  }
}

// What a file is taken for.
TEST(WeightsDetails, TheMagicNumberOfALegacyFileBeginsInItsFirst22Bytes) {
  const auto says = [](std::size_t before) {
    return refusal(bytes_from("\x80\x02" + std::string(before - 2, 'N') +
                              "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19" + std::string(100, '.')));
  };
  testing::expect_says(says(22), "pickle: no mark at byte 22");
  testing::expect_says(says(23), "a pickle that torch.save did not write");
}

TEST(WeightsDetails, TheFirstBytesOfAnOnnxModel) {
  const std::string onnx = "it looks like an ONNX model", unknown = "bytes of an unknown kind";
  for (const auto& [start, says] : {std::pair("\x08\x01\x12xx"s, onnx),
                                    {"\x08\x1F\x12xx", onnx},
                                    {"\x08\0\x12xx"s, unknown},
                                    {"\x08 \x12xx", unknown},
                                    {"\x08\x01:xx", onnx},
                                    {"\x08\1Bxx", onnx},
                                    {"\x08\x01;xx", unknown},
                                    {"\x08\x01\x12x", unknown}})
    testing::expect_says(describe_content(bytes_from(start)), says);
}

TEST(WeightsDetails, ElementsWithTheNegativeBit) {
  TorchFile f;
  // A tensor whose storage holds the negated values; `words` are its bytes, four at a time.
  const auto negated = [&](const std::vector<std::uint32_t>& words, std::uint8_t elements,
                           const std::string& dtype) {
    std::vector<float> raw;
    for (const std::uint32_t word : words) raw.push_back(std::bit_cast<float>(word));
    const std::string count(1, static_cast<char>(elements));
    return global("torch._utils", "_rebuild_tensor_v3") + "(" + f.storage(raw, "UntypedStorage") + "K\0K"s +
           count + "\x85K\x01\x85\x89}" + global("torch", dtype) + TorchFile::dict({{"neg", "\x88"}}) + "tR";
  };
  const std::string root = TorchFile::dict({
      {"f64", negated({0, 0x3FF80000, 0, 0xC0000000}, 2, "float64")},
      {"bf16", negated({0xC0003FC0}, 2, "bfloat16")},
      {"f16", negated({0xC0003E00}, 2, "float16")},
      {"i64", negated({1, 0}, 1, "int64")},
  });
  const WeightFile file = parse_weights(bytes_from(f.file(root)), "test");
  ASSERT_EQ(file.tensors.size(), 3U);
  for (const auto& [name, t] : file.tensors) {
    const Tensor values = t.to(DType::f64);
    ASSERT_EQ(values.numel(), 2) << name;
    EXPECT_EQ(values.data<double>()[0], -1.5) << name;
    EXPECT_EQ(values.data<double>()[1], 2) << name;
  }
  EXPECT_EQ(file.unread.at("i64"), "integers with the negative bit");
}

TEST(WeightsDetails, TensorsThatTakeExactlyWhatAFileMay) {
  TorchFile f;
  const std::string storage = f.storage({3});
  const auto content = [&](std::int64_t size) {  // as long for any size
    return f.file(
        TorchFile::dict({{"a", global("torch._utils", "_rebuild_tensor_v2") + "(" + storage + integer(0) +
                                   integer(size) + "\x85" + integer(0) + "\x85\x89}tR"}}));
  };
  const std::int64_t most = std::ssize(content(0)) * 8 / 4;
  const WeightFile whole = parse_weights(bytes_from(content(most)), "test"),
                   beyond = parse_weights(bytes_from(content(most + 1)), "test");
  EXPECT_EQ(whole.tensors.at(0).tensor.values<float>().back(), 3);
  EXPECT_TRUE(beyond.tensors.empty());
  testing::expect_says(beyond.unread.at("a"), "more memory than a file of this size may");
}

TEST(WeightsDetails, WhatAFileInflatesAddsToWhatItsTensorsMayTake) {
  const std::string data(60000, 'x');
  const auto content = [&](std::int64_t size) {
    std::string pickle = tensor_pickle(15000, 0, size, 0);
    return zip({{"m/data.pkl", pickle}, {"m/data/0", deflated(data), 8, 0, 0, true, data}});
  };
  const std::int64_t most = (std::ssize(content(0)) * 8 + std::ssize(data)) / 4;
  EXPECT_EQ(parse_weights(bytes_from(content(most)), "test").tensors.size(), 1U);
  const WeightFile beyond = parse_weights(bytes_from(content(most + 1)), "test");
  testing::expect_says(beyond.unread.at("a"), "more memory than a file of this size may");
}

TEST(WeightsDetails, EmptyTensorsAtOnePlaceKeepTheirOrder) {
  const auto entry = [](const std::string& name, const std::string& size) {
    return "\"" + name + R"(":{"dtype":"U8","shape":[)" + size + R"(],"data_offsets":[0,)" + size + "]}";
  };
  const std::string header = "{" + entry("a", "4") + "," + entry("y", "0") + "," + entry("z", "0") + "}";
  const WeightFile file =
      parse_weights(bytes_from(le<std::uint64_t>(header.size()) + header + "1234"), "test");
  std::string names;
  for (const NamedTensor& t : file.tensors) names += t.name;
  EXPECT_EQ(names, "yza");
}

TEST(WeightsDetails, ConvertedElementsStayInTheirPlaces) {
  const std::string header = R"({"a":{"dtype":"I16","shape":[2,3,2],"data_offsets":[0,24]}})";
  std::string content = le<std::uint64_t>(header.size()) + header;
  for (std::int16_t i = 0; i < 12; ++i) content += le(i);
  const WeightFile file = parse_weights(bytes_from(content), "test");
  const auto values = file.find("a")->values<std::int64_t>();
  ASSERT_EQ(values.size(), 12U);
  for (std::size_t i = 0; i < 12; ++i) EXPECT_EQ(values[i], static_cast<std::int64_t>(i));
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
