// Limits of weight files from both sides: what is exactly at one is taken, what is one beyond is refused.
#include <fmt/format.h>

#include "data/limits.h"
#include "data/weights/pickle.h"
#include "data/weights/recognise.h"
#include "data/weights/tar.h"
#include "data/weights/torch_state_dict.h"
#include "data/weights/zip.h"
#include "tests/data/expect_says.h"
#include "tests/data/temporary_folder.h"
#include "tests/data/torch_files.h"
#include "tests/data/weights_files.h"

namespace reprise::data {
namespace {

using namespace std::string_literals;
using testing::expect_says;
using testing_weights::le, testing_weights::refusal, testing_weights::TorchFile, testing_weights::zip;

TEST(WeightLimits, HeadersOfSafetensors) {
  const auto file = [](std::uint64_t header, std::uint64_t held) {
    std::string text = "{}" + std::string(held - 2, ' ');
    return testing_weights::bytes_from(le(header) + text);
  };
  constexpr std::uint64_t most = limits::safetensors_header_bytes;
  EXPECT_EQ(refusal(file(most, most)), "");
  expect_says(refusal(file(most, most - 1)), "cut short");
  expect_says(refusal(file(most + 1, 10)), "a header of 16777217 bytes; at most 16777216");
  EXPECT_EQ(refusal(file(2, 2)), "") << "the shortest";
  // Headers that are written, at their full length and 8 bytes longer.
  const std::string value(most - std::string(R"({"__metadata__":{"k":""}})").size(), 'v');
  EXPECT_EQ(to_safetensors({}, {{"k", value}}).size(), 8 + most);
  expect_says(message_of([&] {
                to_safetensors({}, {{"k", value + "v"}});
              }),
              "the header would take 16777224 bytes; at most 16777216");
  EXPECT_TRUE(
      refusal(testing_weights::bytes_from(le<std::uint64_t>((1ULL << 40) - 1) + "{}")).find("header of") !=
      std::string::npos);
  expect_says(refusal(testing_weights::bytes_from(le<std::uint64_t>(1ULL << 40) + "{}")),
              "not a weight file");
}

TEST(WeightLimits, TextsInMessages) {
  EXPECT_EQ(printable(std::string(80, 'x')), std::string(80, 'x'));
  EXPECT_EQ(printable(std::string(81, 'x')), std::string(80, 'x') + "...");
  EXPECT_EQ(printable("\x1F ~\x7F"), "\\x1f ~\\x7f");
}

TEST(WeightLimits, RanksOfTensors) {
  const auto file = [](std::size_t rank) {
    std::string shape = "1";
    for (std::size_t i = 1; i < rank; ++i) shape += ",1";
    const std::string header = R"({"a":{"dtype":"U8","shape":[)" + shape + R"(],"data_offsets":[0,1]}})";
    return parse_weights(testing_weights::bytes_from(le<std::uint64_t>(header.size()) + header + "x"),
                         "test");
  };
  EXPECT_EQ(file(Shape::max_rank).tensors.at(0).tensor.rank(), static_cast<std::int64_t>(Shape::max_rank));
  expect_says(file(Shape::max_rank + 1).unread.at("a"), fmt::format("more than {}", Shape::max_rank));
  const auto pth = [](std::size_t rank) {
    TorchFile torch;
    const std::string tensor = torch.tensor({5}, std::vector<std::int64_t>(rank, 1));
    return parse_weights(testing_weights::bytes_from(torch.file(TorchFile::dict({{"a", tensor}}))), "test");
  };
  EXPECT_EQ(pth(Shape::max_rank).tensors.at(0).tensor.data<float>()[0], 5);
  expect_says(pth(Shape::max_rank + 1).unread.at("a"), fmt::format("more than {}", Shape::max_rank));
}

TEST(WeightLimits, ValuesOfPickles) {
  const auto says = [](const std::string& pickle) {
    try {
      const auto bytes = testing_weights::bytes_from(pickle);
      PickleHeap heap;
      std::size_t position = 0;
      return describe(*run_pickle(bytes, position, heap));
    } catch (const Error& e) {
      return std::string(e.what());
    }
  };
  constexpr std::size_t most = limits::pickle_values;
  const std::string beyond = "more than 2000000 values";
  // On the stack, as marks, in the memo, and as values of their own.
  expect_says(says("N" + std::string(most - 1, '2') + "."), "1999999 values are left over");
  expect_says(says("N" + std::string(most, '2') + "."), beyond);
  expect_says(says(std::string(most, '(') + "."), "the stack is empty");
  expect_says(says(std::string(most + 1, '(') + "."), beyond);
  expect_says(says("N" + std::string(most, '\x94') + "."), "None");
  expect_says(says("N" + std::string(most + 1, '\x94') + "."), beyond);
  expect_says(says(std::string(most, 'N') + "."), "1999999 values are left over");
  PickleHeap heap;
  for (std::size_t i = 0; i + 1 < most; ++i) heap.make({});
  PickleValue* list = heap.make({});
  expect_says(message_of([&] { heap.make({}); }), beyond);
  // In containers, three times as many.
  heap.append(*list, std::vector<PickleValue*>(3 * most));
  expect_says(message_of([&] { heap.append(*list, {list}); }), beyond);
  expect_says(says(testing_weights::text("x") + "Q."), "the persistent id x at byte 6 is unknown");
  const std::string id(limits::pickle_name_bytes, 'i');
  expect_says(says(testing_weights::text(id) + "Q."), "... at byte 261 is unknown");
  expect_says(says(testing_weights::text(id + "i") + "Q."), "the persistent id at byte 262 is a text");
  // A name of a global.
  const std::string name(limits::pickle_name_bytes, 'n');
  expect_says(says(testing_weights::global("m", name) + "."), "m.nnn");
  expect_says(says(testing_weights::global("m", name + "n") + "."),
              "a name of more than 256 bytes at byte 3");
  // Protocols 0 to 5 are read.
  expect_says(says("\x80\x05N."), "None");
  expect_says(says("\x80\x06N."), "protocol 6 at byte 0; up to 5");
}

TEST(WeightLimits, ContainersAroundAStateDict) {
  const auto file = [](int nesting) {
    TorchFile torch;
    std::string value = TorchFile::dict({{"a", torch.tensor({5}, {1})}});
    for (int i = 0; i < nesting; ++i) value = i % 2 == 0 ? value + "\x85" : TorchFile::dict({{"k", value}});
    return testing_weights::bytes_from(torch.file(value));
  };
  const WeightFile deep = parse_weights(file(limits::state_dict_nesting), "test");
  EXPECT_EQ(deep.tensors.at(0).tensor.data<float>()[0], 5);
  EXPECT_EQ(std::count(deep.section.begin(), deep.section.end(), '.'), limits::state_dict_nesting - 1);
  expect_says(refusal(file(limits::state_dict_nesting + 1)), "the file holds a tuple of 1");
}

TEST(WeightLimits, WhatAZipInflatesTo) {
  const auto file = [](const std::string& packed, std::uint32_t grow) {
    return zip({{"a", packed, 8, 0, grow, true, "x"}});
  };
  const auto says = [](const std::string& archive) {
    const auto bytes = testing_weights::bytes_from(archive);
    ZipReader reader(bytes);
    return message_of([&] { reader.read("a"); });
  };
  // Deflate shrinks at most 1032 times.
  expect_says(says(file("12", 2 * 1032 + 1031 - 1)), "cannot be inflated");
  expect_says(says(file("12", 3 * 1032 - 1)), "cannot have 3096 bytes: 2 are packed");
  // At most 256 MiB, or 32 times the file. Both of them within their 1032 times.
  const std::string packed(300'000, '\x07');  // a block of a kind that does not exist
  constexpr auto most = static_cast<std::uint32_t>(limits::inflated_bytes);
  expect_says(says(file(packed, most - 1)), "cannot be inflated");
  expect_says(says(file(packed, most)), "would take 268435457 bytes, too many");
}

TEST(WeightLimits, PlacesInAZip) {
  const std::string good = zip({{"a", "12345678"}});
  const auto says = [](const std::string& archive) {
    try {
      const auto bytes = testing_weights::bytes_from(archive);
      ZipReader(bytes).read("a");
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return ""s;
  };
  EXPECT_EQ(says(good), "");
  const std::size_t end = good.size() - 22, directory = good.find("PK\1\2");
  const auto changed = [&](std::size_t at, std::uint32_t by) {
    std::string archive = good;
    archive[at] = static_cast<char>(archive[at] + static_cast<char>(by));
    return archive;
  };
  expect_says(says(changed(end + 12, 1)), "the directory lies outside the file");  // its size
  expect_says(says(changed(end + 16, 1)), "the directory lies outside the file");  // its place
  expect_says(says(changed(end + 12, 255)), "cut short");                          // one byte less
  expect_says(says(changed(end + 4, 1)), "spans several disks");
  expect_says(says(changed(end + 6, 1)), "spans several disks");
  expect_says(says(changed(end + 8, 1)), "spans several disks");
  expect_says(says(changed(directory, 1)), "the directory is damaged at byte");
  expect_says(says(changed(directory + 42, 1)), "has no header at byte 1");
  const auto all = static_cast<std::uint32_t>(directory);
  expect_says(says(changed(directory + 42, all)), "cut short");
  expect_says(says(changed(directory + 42, all + 1)), "a lies outside the file");
  expect_says(says(zip({})), "no entry a");
  expect_says(says(le<std::uint32_t>(0x07064b50) + std::string(16, '\0') + zip({})),
              "the zip64 end record lies outside the file");
  expect_says(says(changed(30, 1)), "another name in its own header");
  // The longest comment after the end record, and one byte more.
  const auto with_comment = [&](std::size_t said, std::size_t held) {
    std::string archive = good.substr(0, good.size() - 2) + le(static_cast<std::uint16_t>(said));
    return archive + std::string(held, 'c');
  };
  EXPECT_EQ(says(with_comment(65535, 65535)), "");
  expect_says(says(with_comment(65535, 65536)), "no end record");
  expect_says(says(with_comment(65535, 65534)), "no end record");
}

TEST(WeightLimits, EntriesOfAWrittenZipBeginAtMultiplesOf64) {
  ZipWriter writer;
  std::string name = "n";
  for (std::size_t size = 0; size < 70; ++size, name += "n") writer.add(name, std::string(size, 'x'));
  const std::vector<std::byte> bytes = writer.finish();
  ZipReader reader(bytes);
  ASSERT_EQ(reader.names().size(), 70U);
  for (const std::string& entry : reader.names()) {
    EXPECT_EQ(reader.read(entry).size(), entry.size() - 1);
    EXPECT_EQ((reader.read(entry).data() - bytes.data()) % 64, 0) << entry.size();
  }
}

TEST(WeightLimits, EntriesOfAWrittenZip) {
  ZipWriter writer;
  for (int i = 0; i < 65534; ++i) writer.add(fmt::format("{:05}", i), "");
  expect_says(message_of([&] { writer.add("one more", ""); }), "more than 4 GiB or 65534 entries");
  const std::vector<std::byte> bytes = writer.finish();
  EXPECT_EQ(ZipReader(bytes).names().back(), "65533");
}

TEST(WeightLimits, BytesOfAStorage) {
  const auto storage = [](std::uint8_t width, std::int64_t elements) {
    return PickleValue{.kind = PickleValue::Kind::storage, .width = width, .integer = elements};
  };
  EXPECT_EQ(bytes_of(storage(1, INT64_MAX)), static_cast<std::uint64_t>(INT64_MAX));
  for (const PickleValue& large : {storage(2, INT64_MAX / 2 + 1), storage(16, INT64_MAX)})
    expect_says(message_of([&] { bytes_of(large); }), "elements, too many");
}

TEST(WeightLimits, NumbersInAWrittenPickle) {
  for (const std::int64_t n : {2147483646LL, 2147483647LL, 2147483648LL, 2147483649LL}) {
    const std::vector<std::byte> bytes = to_pth({{"a", empty({0, n})}, {"b", ones({2})}});
    const WeightFile file = parse_weights(bytes, "test");
    EXPECT_EQ(file.find("a")->shape(), (Shape{0, n}));
    EXPECT_EQ(file.find("b")->data<float>()[1], 1);
  }
}

TEST(WeightLimits, BlocksOfATar) {
  const auto header = [](const std::string& name, const std::string& size, char type) {
    std::string block(512, '\0');
    block.replace(0, name.size(), name);
    block.replace(124, size.size(), size);
    block.replace(148, 8, std::string(8, ' '));
    block[156] = type;
    unsigned sum = 0;
    for (const char c : block) sum += static_cast<unsigned char>(c);
    return block.replace(148, 7, fmt::format("{:06o}", sum) + '\0');
  };
  const std::string zeros(512, '\0'), data = "x" + std::string(511, '\0');
  const auto says = [](const std::string& archive) {
    try {
      const auto bytes = testing_weights::bytes_from(archive);
      std::string names;
      for (const auto& [name, content] : read_tar(bytes))
        names += fmt::format("{}:{} ", name, content.size());
      return names;
    } catch (const Error& e) {
      return std::string(e.what());
    }
  };
  const std::string one = header("a", "00000000001", '0') + data, long_name(100, 'n');
  EXPECT_EQ(says(one + zeros + zeros), "a:1 ");
  EXPECT_EQ(says(one + zeros + zeros + zeros), "a:1 ");
  EXPECT_EQ(says(header("a", " 1 ", '\0') + data + zeros + zeros), "a:1 ");
  EXPECT_EQ(says(header("d", "0", '5') + one + zeros + zeros), "a:1 ") << "folders are passed over";
  EXPECT_EQ(says(header(long_name, "0", '0') + zeros + zeros), long_name + ":0 ");
  expect_says(says(one + one + zeros + zeros), "a comes twice");
  expect_says(says(one + zeros), "cut short");
  expect_says(says(one + zeros + data), "something follows its end");
  expect_says(says(one + zeros + zeros + "x"), "something follows its end");
  for (const std::string size : {"8", "/", "1 1", "x"})
    expect_says(says(header("a", size, '0') + data + zeros + zeros), "its size is not an octal number");
  std::string damaged = one + zeros + zeros;
  damaged[0] = 'b';
  expect_says(says(damaged), "the header at byte 0 is damaged");
}

}  // namespace
}  // namespace reprise::data
