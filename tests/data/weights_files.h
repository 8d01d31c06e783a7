// Helpers of the tests of weight files: golden files, their expected contents, and tensors.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "data/io/file.h"
#include "data/weights/weight_file.h"
#include "engine/base/error.h"
#include "engine/base/sha256.h"

namespace reprise::data::testing_weights {

using Bytes = std::vector<std::byte>;

inline std::string golden_path(const std::string& name) {
  return std::string(REPRISE_SOURCE_DIR) + "/tests/golden/weights/" + name;
}
inline const nlohmann::json& expectations() {
  static const nlohmann::json all = nlohmann::json::parse(std::ifstream(golden_path("expected.json")));
  return all;
}
inline Bytes bytes_from(std::string_view text) {
  Bytes bytes(text.size());
  std::transform(text.begin(), text.end(), bytes.begin(), [](char c) { return static_cast<std::byte>(c); });
  return bytes;
}
inline std::string text_from(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Returns the message with which the bytes are refused, or "" if they are read.
inline std::string refusal(const Bytes& bytes) {
  try {
    parse_weights(bytes, "test");
    return "";
  } catch (const Error& e) {
    return e.what();
  }
}

// Returns the tensors that tests/golden/check_weights.py expects in ours.pth and ours.safetensors.
inline std::vector<NamedTensor> our_tensors() {
  std::vector<float> conv(24);
  for (std::size_t i = 0; i < conv.size(); ++i) conv[i] = static_cast<float>(i) / 4;
  return {{"conv1.weight", tensor({2, 3, 2, 2}, conv)},
          {"bn1.num_batches_tracked", full({}, 1099511627776.0, DType::i64)},
          {"image", tensor({3}, std::vector<std::uint8_t>{1, 2, 255})},
          {"double", tensor({1, 1}, std::vector<double>{1.0 / 3.0})},
          {"half", tensor({2}, {1.0f, -2.5f}).to(DType::bf16)},
          {"empty", empty({0, 4})}};
}
inline std::map<std::string, std::string> our_metadata() {
  return {{"b", "\xc3\xbc \"quoted\""}, {"a", "1"}};
}

}  // namespace reprise::data::testing_weights
