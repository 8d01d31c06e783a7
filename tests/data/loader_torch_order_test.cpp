// The order of PyTorch's shuffling loader, compared with tests/golden/rng.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "data/loader/order.h"
#include "engine/base/sha256.h"
#include "tests/data/temporary_folder.h"

namespace reprise::data {
namespace {

TEST(TorchLoaderOrder, IterationAfterIterationIsPyTorchs) {
  std::ifstream in(std::string(REPRISE_SOURCE_DIR) + "/tests/golden/rng/generator.txt");
  TorchGenerator generator(0);
  int lines = 0;
  for (std::string text; std::getline(in, text);) {
    std::istringstream line(text);
    std::string kind, hash;
    std::uint64_t seed = 0;
    std::int64_t n = 0, iteration = 0;
    line >> kind;
    if (kind != "loader") continue;
    SCOPED_TRACE(text.substr(0, 40));
    line >> seed >> n >> iteration;
    if (iteration == 0) generator = TorchGenerator(seed);
    TorchGenerator counted = generator;
    const std::vector<std::int64_t> order = torch_loader_order(n, generator);
    counted.discard(torch_loader_draws);
    EXPECT_EQ(counted, generator);
    lines += 1;
    if (n >= 100) {
      line >> hash;
      EXPECT_EQ(sha256_hex(std::as_bytes(std::span(order))), hash);
      continue;
    }
    std::vector<std::int64_t> expected;
    for (std::int64_t i = 0; line >> i;) expected.push_back(i);
    EXPECT_EQ(order, expected);
  }
  EXPECT_EQ(lines, 60);
  EXPECT_NE(message_of([&] { torch_loader_order(0, generator); }).find("at least 1"), std::string::npos);
}

}  // namespace
}  // namespace reprise::data
