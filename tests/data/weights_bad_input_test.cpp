// Weight files that are truncated, damaged or hostile:
// each is an Error with its reason, and none crashes.
#include <algorithm>
#include <cstdint>

#include "tests/data/torch_files.h"
#include "tests/data/weights_files.h"

namespace reprise::data::testing_weights {
namespace {

using namespace std::string_literals;

// --- every truncation, every byte

class Small : public ::testing::TestWithParam<std::string> {};

TEST_P(Small, EveryTruncationIsAnError) {
  const Bytes whole = read_file(golden_path(GetParam()));
  // A tar may end with blocks of zeros, so removing them changes nothing.
  const std::size_t last_byte = [&] {
    std::size_t n = whole.size();
    while (n > 0 && whole[n - 1] == std::byte{0}) --n;
    return n;
  }();
  const bool is_tar = GetParam().starts_with("tar");
  const std::size_t complete = is_tar ? (last_byte + 511) / 512 * 512 + 1024 : whole.size();
  for (std::size_t n = 0; n < complete; ++n) {
    // A copy of exact size, so that the address sanitizer sees a read past its end.
    const Bytes part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n));
    EXPECT_NE(refusal(part), "") << n << " bytes";
  }
  EXPECT_EQ(refusal(whole), "");
}

TEST_P(Small, EveryDamagedByteIsAnErrorOrAResult) {
  const Bytes whole = read_file(golden_path(GetParam()));
  int refused = 0;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const int change : {0x01, 0x80, 0xFF}) {
      Bytes damaged = whole;
      damaged[i] ^= static_cast<std::byte>(change);
      refused += !refusal(damaged).empty();
    }
  }
  EXPECT_GT(refused, 0);
}

std::string test_name(const ::testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Weights, Small,
                         ::testing::Values("zip.pth", "legacy.th", "tar.pth", "tar_parameters.pth",
                                           "python.safetensors", "odd_zip.pt", "odd_legacy.pt", "ours.pth",
                                           "ours.safetensors", "checkpoint.pth"),
                         test_name);

// --- not a weight file

TEST(WeightsBad, SaysWhatTheFileLooksLike) {
  const std::pair<std::string, const char*> cases[] = {
      {"", "it is empty"},
      {"\x89PNG\r\n\x1a\n rest", "PNG image"},
      {"\xff\xd8\xff\xe0 rest", "JPEG image"},
      {"<!DOCTYPE html><html><body>404", "HTML page"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"},
      {"just some words\n", "it is text, beginning with \"just some words"},
      {"\x1f\x8b\x08 rest", "gzip"},
      {"\x01\x02\x03\x04", "4 bytes of an unknown kind"},
  };
  for (const auto& [content, word] : cases) {
    const std::string reason = refusal(bytes_from(content));
    EXPECT_NE(reason.find("not a weight file"), std::string::npos) << reason;
    EXPECT_NE(reason.find(word), std::string::npos) << reason;
    EXPECT_NE(reason.find("test"), std::string::npos) << "names the file: " << reason;
  }
}

// --- safetensors

std::string safetensors(const std::string& header, std::size_t data) {
  return le<std::uint64_t>(header.size()) + header + std::string(data, '\1');
}

TEST(WeightsBad, Safetensors) {
  const auto one = [](const std::string& shape, const std::string& offsets, std::size_t data) {
    return safetensors(R"({"a":{"dtype":"F32","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}",
                       data);
  };
  ASSERT_EQ(refusal(bytes_from(one("[2]", "[0,8]", 8))), "");
  const std::string a = R"("a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]})";
  const auto b = [](const std::string& offsets) {
    return R"("b":{"dtype":"U8","shape":[4],"data_offsets":)" + offsets + "}";
  };
  const std::pair<std::string, const char*> cases[] = {
      {le<std::uint64_t>(1u << 30) + "{" + std::string(100, ' '), "header of 1073741824 bytes"},
      {le<std::uint64_t>(200) + "{" + std::string(100, ' '), "cut short"},
      {safetensors("{" + a + "," + a + "}", 4), "twice"},
      {safetensors(R"({"a":{"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 4), "twice"},
      {safetensors("{" + a + "," + b("[5,9]") + "}", 9), "gap"},
      {safetensors("{" + a + "," + b("[3,7]") + "}", 7), "overlap"},
      {safetensors("{" + a + "," + b("[4,8]") + "}", 9), "something follows"},
      {safetensors("{" + a + "," + b("[4,8]") + "}", 7), "cut short"},
      {one("[-2]", "[0,8]", 8), "not a count"},
      {one("[2.0]", "[0,8]", 8), "not a count"},
      {one("[\"\xC3\xA9\"]", "[0,8]", 8), "not a count: \"\xC3\xA9\""},
      {one("[1e999]", "[0,8]", 8), "beyond all measure"},
      {one("[4611686018427387904,4]", "[0,8]", 8), "overflows"},
      {one("[18446744073709551615]", "[0,8]", 8), "too large"},
      {one("[9223372036854775808]", "[0,8]", 8), "too large"},
      {one("[9223372036854775807]", "[0,8]", 8), "do not take 8 bytes"},
      {one("[1000000000000]", "[0,8]", 8), "do not take 8 bytes"},
      {one("[2]", "[0,18446744073709551615]", 8), "cut short"},
      {one("[2]", "[8,0]", 8), "[begin, end]"},
      {one("[3]", "[0,8]", 8), "do not take 8 bytes"},
      {one("2", "[0,8]", 8), "not a list"},
      {safetensors(R"({"a":{"dtype":"F32","shape":[2]}})", 8), "expected an object"},
      {safetensors(R"({"a":1})", 0), "expected an object"},
      {safetensors(R"({"a":{)", 0), "not valid JSON"},
      {safetensors(R"({"__metadata__":{"k":1}})", 0), "not a string"},
      {safetensors(R"({"a":)" + std::string(100000, '['), 0), "nested too deeply"},
      {safetensors("{\"\xff\":1}", 0), "not valid JSON"},
  };
  for (const auto& [content, word] : cases) {
    const std::string reason = refusal(bytes_from(content));
    EXPECT_NE(reason.find(word), std::string::npos) << content.substr(8, 80) << "\n" << reason;
  }
}

// --- zip

TEST(WeightsBad, Zip) {
  const std::string pickle = tensor_pickle(2, 0, 2, 1), data(8, '\1');
  ASSERT_EQ(refusal(bytes_from(torch_zip(pickle, data))), "");
  ASSERT_EQ(refusal(bytes_from(zip({{"m/data.pkl", deflated(pickle), 8, 0, 0, true, pickle},
                                    {"m/data/0", deflated(data), 8, 0, 0, true, data}}))),
            "");
  ASSERT_EQ(refusal(bytes_from(zip({{"data.pkl", pickle}, {"data/0", data}}))), "");
  // As some writers do it: sizes only in the directory.
  ASSERT_EQ(
      refusal(bytes_from(zip({{"m/data.pkl", pickle, 0, 0, 0, false}, {"m/data/0", data, 0, 0, 0, false}}))),
      "");
  ZipEntry first{"m/data.pkl", pickle}, second{"m/data/0", data};
  first.zip64 = second.zip64 = true;
  ASSERT_EQ(refusal(bytes_from(zip({first, second}))), "");
  second.grow = 20;
  EXPECT_NE(refusal(bytes_from(zip({first, second}))).find("cut short"), std::string::npos);
  second.grow = 0;
  first.zip64 = second.zip64 = false;
  std::string wrong_crc = torch_zip(pickle, data);
  wrong_crc[wrong_crc.find(data)] ^= 1;
  const std::pair<std::string, const char*> cases[] = {
      {zip({{"m/data.pkl", pickle, 0, 20}, second}), "overlap"},
      {zip({first, {"m/data/0", data, 0, 20}}), "cut short"},
      {zip({first, {"m/data/0", data, 0, 0xFFFFFFF0}}), "cut short"},
      {zip({{"m/data.pkl", pickle, 8}, second}), "m/data.pkl cannot be inflated"},
      {zip({{"m/data.pkl", pickle, 9}, second}), "m/data.pkl is compressed by method 9"},
      {zip({first, {"m/data/0", deflated(data), 8, 0, 1, true, data}}), "m/data/0 cannot be inflated"},
      {zip({first, {"m/data/0", deflated(data + "1"), 8, 0, 0, true, data}}), "m/data/0 cannot be inflated"},
      {zip({first, {"m/data/0", deflated(data), 8, 0, 0, true, "12345678"}}), "CRC-32"},
      {zip({first, {"m/data/0", deflated(data), 8, 0, 1u << 31, true, data}}),
       "cannot have 2147483656 bytes"},
      {zip({first, {"m/data/0", std::string(600'000, '\1'), 8, 0, 300'000'000}}),
       "too many for a file of this"},
      {zip({first, {"m/data/0", data, 0, 0, 1u << 31}}), "two sizes"},
      {zip({first, second, second}), "m/data/0 comes twice"},
      {zip({first, second}, 1), "encrypted"},
      {zip({first}), "no entry m/data/0"},
      {zip({second}), "0 entries named data.pkl"},
      {zip({first, second, {"n/data.pkl", pickle}}), "2 entries named data.pkl"},
      {zip({first, second, {"m/byteorder", "big"}}), "byte order is 'big'"},
      {zip({first, {"m/data/0", std::string(7, '\1')}}), "7 bytes, 8 were expected"},
      {wrong_crc, "CRC-32"},
      {zip({first, second}) + "x", "no end record"},
  };
  for (const auto& [content, word] : cases) {
    const std::string reason = refusal(bytes_from(content));
    EXPECT_NE(reason.find(word), std::string::npos) << word << ": " << reason;
  }
}

// --- pickle

TEST(WeightsBad, TensorsOutsideTheirStorage) {
  const std::string data(8, '\1');
  const std::int64_t huge = INT64_MAX;
  ASSERT_EQ(refusal(bytes_from(torch_zip(tensor_pickle(2, 1, 1, huge), data))), "");
  for (const std::string& pickle :
       {tensor_pickle(2, 1, 2, 1), tensor_pickle(2, -1, 2, 1), tensor_pickle(2, 0, 2, 2),
        tensor_pickle(2, 1, 2, -1), tensor_pickle(2, huge, 2, huge), tensor_pickle(2, 0, huge, 1),
        tensor_pickle(2, 0, 2, huge), tensor_pickle(2, 0, huge, huge), tensor_pickle(2, 0, -1, 1),
        tensor_pickle(huge, 0, 2, 1), tensor_pickle(-2, 0, 2, 1), tensor_pickle(3, 0, 3, 1)})
    EXPECT_NE(refusal(bytes_from(torch_zip(pickle, data))), "");
}

TEST(WeightsBad, ManyTensorsOnOneStorage) {
  // One tensor under 100,000 names is read once.
  const std::string one = tensor_pickle(1000, 0, 1000, 1), data(4000, '\1');
  std::string pickle = one.substr(0, one.size() - 2) + "q\x01s";
  for (std::uint32_t i = 0; i < 100000; ++i) pickle += "X" + le<std::uint32_t>(4) + le(i) + "h\x01s";
  const WeightFile shared = parse_weights(bytes_from(torch_zip(pickle + ".", data)), "test");
  ASSERT_EQ(shared.tensors.size(), 100001U);
  EXPECT_EQ(shared.tensors[0].tensor.raw_bytes().data(), shared.tensors[1].tensor.raw_bytes().data());
  // 2,000 tensors of 4,000 bytes in a file of 150 KB, and one that repeats an element a hundred
  // million times: those that go beyond eight times the file stay unread, before the memory is
  // taken.
  TorchFile file;
  const std::string storage = file.storage(std::vector<float>(1000, 1));
  const auto tensor = [&](std::int64_t size, std::int64_t stride) {
    return global("torch._utils", "_rebuild_tensor_v2") + "(h\x01" + integer(0) + integer(size) + "\x85" +
           integer(stride) + "\x85\x89}tR";
  };
  TorchFile::Items items{{"first", storage + "q\x01" + "0" + tensor(1000, 1)},
                         {"expanded", tensor(100'000'000, 0)}};
  for (int i = 0; i < 2000; ++i) items.emplace_back(std::to_string(i), tensor(1000, 1));
  const std::string content = file.file(TorchFile::dict(items));
  const WeightFile many = parse_weights(bytes_from(content), "test");
  EXPECT_LT(many.tensors.size() * 4000, content.size() * 8);
  EXPECT_EQ(many.tensors.size() + many.unread.size(), items.size());
  EXPECT_NE(many.unread.at("expanded").find("more memory"), std::string::npos);
}

TEST(WeightsBad, Pickle) {
  const auto with = [](const std::string& pickle) { return torch_zip("\x80\x02" + pickle, "12345678"); };
  const auto many_of = [](const std::string& opcodes, int n) {
    std::string all;
    for (int i = 0; i < n; ++i) all += opcodes;
    return all;
  };
  std::string many = "(";
  for (int i = 0; i < 3000000; ++i) many += "N";
  std::string pairs = "](";  // one long list of pairs, from which many dictionaries are made
  for (int i = 0; i < 100000; ++i) pairs += "K\x01K\x01\x86";
  pairs += "eq\x01";
  for (int i = 0; i < 100000; ++i) pairs += "0" + global("collections", "OrderedDict") + "h\x01\x85R";
  const std::pair<std::string, const char*> cases[] = {
      {with(global("os", "system") + text("x") + "\x85R."),
       "expected a state dict, the file holds os.system"},
      {with(global("builtins", "eval") + "."), "builtins.eval"},
      {with(text("posix") + text("system") + "\x93."), "posix.system"},
      {with("\x82\x01."), "the opcode '\\x82' at byte 2"},
      {with("(ios\nsystem\n."), "the opcode 'i' at byte 3"},
      {with("I1\n."), "the opcode 'I' at byte 2"},
      {with("\xff."), "the opcode '\\xff'"},
      {with("."), "the stack is empty"},
      {with("}"), "cut short"},
      {with("}}."), "left over"},
      {with("t."), "no mark"},
      {with("(0."), "the stack is empty"},
      {with("h\x05."), "nothing is remembered"},
      {with("}s."), "stack is empty"},
      {with("NNNs."), "a dictionary was expected"},
      {with("}Na."), "a list was expected"},
      {with("]q\x01" + many_of("(h\x01h\x01h\x01h\x01h\x01h\x01h\x01h\x01"
                               "e",
                               1'000'000)),
       "more than 2000000 values"},
      {with("N" + std::string(3'000'000, '2') + "."), "more than 2000000 values"},
      {with("N" + std::string(3'000'000, '\x94') + "."), "more than 2000000 values"},
      {with(std::string(3'000'000, '(') + "."), "more than 2000000 values"},
      {with("}(Nu."), "without value"},
      {with("NQ."), "persistent id"},
      {with("X\xff\xff\xff\xff."), "cut short"},
      {with("\x80\x09}."), "protocol 9"},
      {with("N)R."), "the file holds None"},
      {with("Nb."), "stack is empty"},
      {with("NNb."), "the file holds None"},
      {with(global("torch", "FloatStorage") + ")R."), "the file holds torch.FloatStorage"},
      {with("c" + std::string(1000, 'a') + "\nb\n."), "more than 256 bytes"},
      {with("}q\x01" + text("state_dict") + "h\x01s."),
       "no dictionary of tensors"},  // a dictionary that contains itself
      {with(many), "more than 2000000 values"},
      {with(pairs + "."), "more than 2000000 values"},
  };
  for (const auto& [content, word] : cases) {
    const std::string reason = refusal(bytes_from(content));
    EXPECT_NE(reason.find(word), std::string::npos) << word << ": " << reason;
  }
}

TEST(WeightsBad, LegacyDetails) {
  const std::string head = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03."s;
  const auto system = [](const std::string& order) {
    return "\x80\x02}" + text("protocol_version") + "M\xe9\x03s" + text("little_endian") + order + "s.";
  };
  const std::string tensor = tensor_pickle(2, 0, 2, 1), keys = "\x80\x02]" + text("0") + "a.";
  const std::string data = le<std::int64_t>(2) + std::string(8, '\1');
  ASSERT_EQ(refusal(bytes_from(head + system("\x88") + tensor + keys + data)), "");
  const std::pair<std::string, const char*> cases[] = {
      {head + system("\x89") + tensor + keys + data, "big-endian"},
      {head + system("\x88") + tensor + keys + data + "x", "follow the last storage"},
      {head + system("\x88") + tensor + "\x80\x02]" + text("1") + "a." + data, "belongs to no tensor"},
      {head + system("\x88") + tensor + "\x80\x02]." + "", "is not in the file"},
      {head + system("\x88") + tensor + keys + le<std::int64_t>(3) + std::string(12, '\1'), "3 elements"},
      {head + system("\x88") + tensor + keys + le<std::int64_t>(-1), "-1 elements"},
  };
  for (const auto& [content, word] : cases) {
    const std::string reason = refusal(bytes_from(content));
    EXPECT_NE(reason.find(word), std::string::npos) << word << ": " << reason;
  }
}

}  // namespace
}  // namespace reprise::data::testing_weights
