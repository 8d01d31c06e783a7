// Epoch orders, batches and order files.
#include "data/loader/order.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/base/random.h"
#include "tests/data/temporary_folder.h"

namespace reprise::data {
namespace {

using Batches = std::vector<std::vector<std::int64_t>>;

std::vector<std::int64_t> joined(const Batches& batches) {
  std::vector<std::int64_t> order;
  for (const auto& b : batches) order.insert(order.end(), b.begin(), b.end());
  return order;
}

TEST(Order, KeepsTheLastPartialBatch) {
  EXPECT_EQ(epoch_batches(5, 2, 0, "t", 0, false), (Batches{{0, 1}, {2, 3}, {4}}));
  EXPECT_EQ(epoch_batches(4, 2, 0, "t", 0, false), (Batches{{0, 1}, {2, 3}}));
  EXPECT_EQ(epoch_batches(2, 1, 0, "t", 0, false), (Batches{{0}, {1}}));
  EXPECT_EQ(epoch_batches(2, 8, 0, "t", 0, false), (Batches{{0, 1}}));
  EXPECT_TRUE(epoch_batches(0, 8, 0, "t", 0, true).empty());
  EXPECT_NE(message_of([] { epoch_batches(5, 0, 0, "t", 0, true); }).find("batch"), std::string::npos);
}

TEST(Order, ShufflesWithANamedStream) {
  const auto order = epoch_order(100, 3, "digits", 7, true);
  EXPECT_EQ(order, RandomStream(3, "shuffle/digits", 7).permutation(100));
  EXPECT_EQ(joined(epoch_batches(100, 32, 3, "digits", 7, true)), order);
  EXPECT_NE(order, epoch_order(100, 4, "digits", 7, true));
  EXPECT_NE(order, epoch_order(100, 3, "letters", 7, true));
  EXPECT_NE(order, epoch_order(100, 3, "digits", 8, true));
  auto sorted = order;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(sorted, epoch_order(100, 0, "", 0, false));
}

TEST(Order, ReadsAFile) {
  TemporaryFolder dir;
  dir.write("order", "0 1 2\r\n\n2,1, 0\n\t1 1\n4");
  EXPECT_EQ(read_order_file(dir.path("order"), 5), (Batches{{0, 1, 2}, {2, 1, 0}, {1, 1}, {4}}));
}

TEST(Order, NamesLineAndValueOfWhatIsWrong) {
  TemporaryFolder dir;
  const auto error = [&](const std::string& text) {
    dir.write("order", text);
    return message_of([&] { read_order_file(dir.path("order"), 5); });
  };
  for (const std::string value : {"5", "-1"}) {
    const std::string message = error("0 1\n2 " + value + " 3\n");
    EXPECT_NE(message.find("index " + value + " lies outside 0..4"), std::string::npos) << message;
    EXPECT_NE(message.find("line    2"), std::string::npos) << message;
    EXPECT_NE(message.find(dir.path("order")), std::string::npos) << message;
  }
  for (const std::string value : {"x", "1.5", "1e3", "99999999999999999999", "0x1"}) {
    const std::string message = error("\n\n" + value + "\n");
    EXPECT_NE(message.find("'" + value + "'"), std::string::npos) << message;
    EXPECT_NE(message.find("line    3"), std::string::npos) << message;
  }
  EXPECT_NE(error(" \n\n").find("no indices"), std::string::npos);
  EXPECT_NE(message_of([&] { read_order_file(dir.path("absent"), 5); }).find("no such file"),
            std::string::npos);
}

}  // namespace
}  // namespace reprise::data
