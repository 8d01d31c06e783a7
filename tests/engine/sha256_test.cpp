#include "engine/base/sha256.h"

#include <gtest/gtest.h>

#include "engine/base/sha256_block.h"

namespace reprise {
namespace {

std::string hash(std::string_view text) {
  Sha256 h;
  h.update(text);
  return h.hex();
}

// NIST's test vectors (FIPS 180-4 examples).
TEST(Sha256, KnownAnswers) {
  EXPECT_EQ(hash(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(
      hash("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsm"
           "nopqrstnopqrstu"),
      "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
  EXPECT_EQ(hash(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, TheProcessorsInstructionsGiveTheSame) {
  const auto of_processor = detail::sha256_block_of_processor();
  if (of_processor == nullptr) GTEST_SKIP() << "this processor has no instructions for SHA-256";
  std::array<std::uint32_t, 8> one{1, 2, 3, 4, 5, 6, 7, 8}, other = one;
  std::array<std::byte, 64> block{};
  for (int n = 0; n < 200; ++n) {
    for (std::size_t i = 0; i < block.size(); ++i)
      block[i] = static_cast<std::byte>(one[i % 8] >> (i % 32) ^ static_cast<std::uint32_t>(n));
    detail::sha256_block_plain(one, block.data());
    of_processor(other, block.data());
    ASSERT_EQ(one, other) << "block " << n;
  }
}

TEST(Sha256, PiecesDoNotMatter) {
  const std::string text(200, 'x');
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    Sha256 h;
    h.update(std::string_view(text).substr(0, cut));
    h.update(std::string_view(text).substr(cut));
    ASSERT_EQ(h.hex(), hash(text)) << cut;
  }
}

}  // namespace
}  // namespace reprise
