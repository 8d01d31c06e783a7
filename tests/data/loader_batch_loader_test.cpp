// The loader: batches in order, prepared ahead, errors in their place.
#include "data/loader/batch_loader.h"

#include <gtest/gtest.h>

#include "data/loader/order.h"
#include "engine/core/parallel.h"
#include "tests/data/temporary_folder.h"

namespace reprise::data {
namespace {

class LoaderTest : public testing::Test {
 protected:
  LoaderTest() {
    for (int i = 0; i < 23; ++i) {
      const std::string file = std::to_string(i) + ".ppm";
      dir_.image(file, 11 * i);
      samples_.push_back({dir_.path(file), file, i % 5});
    }
    store_ = std::make_unique<ImageStore>(samples_, 5, "");
    EXPECT_TRUE(store_->load().empty());
  }
  TemporaryFolder dir_;
  std::vector<Sample> samples_;
  std::unique_ptr<ImageStore> store_;
};

TEST_F(LoaderTest, GivesEveryBatchInOrder) {
  for (std::int64_t epoch = 0; epoch < 5; ++epoch) {
    const auto batches = epoch_batches(23, 4, 1, "t", epoch, true);
    Loader loader(*store_, batches);
    EXPECT_EQ(loader.batches(), 6);
    std::size_t at = 0;
    while (auto batch = loader.next()) {
      ASSERT_LT(at, batches.size());
      EXPECT_EQ(batch->indices, batches[at]);
      const Tensor expected = store_->batch(batches[at]), labels = store_->batch_labels(batches[at]);
      EXPECT_TRUE(std::ranges::equal(batch->images.values<std::uint8_t>(), expected.values<std::uint8_t>()));
      EXPECT_TRUE(std::ranges::equal(batch->labels.values<std::int64_t>(), labels.values<std::int64_t>()));
      // Work of the consumer runs beside the preparing thread.
      parallel_for(8, 1, [](std::int64_t, std::int64_t) {});
      ++at;
    }
    EXPECT_EQ(at, 6u);
    EXPECT_FALSE(loader.next().has_value());
  }
}

TEST_F(LoaderTest, MayBeLeftEarly) {
  for (int taken = 0; taken < 4; ++taken) {
    Loader loader(*store_, epoch_batches(23, 4, 1, "t", 0, false));
    for (int i = 0; i < taken; ++i) EXPECT_TRUE(loader.next().has_value());
  }
  Loader none(*store_, {});
  EXPECT_FALSE(none.next().has_value());
}

TEST_F(LoaderTest, AnErrorComesInItsPlaceAndEndsTheEpoch) {
  Loader loader(*store_, {{0, 1}, {2}, {3, 23}, {4}});
  EXPECT_TRUE(loader.next().has_value());
  EXPECT_TRUE(loader.next().has_value());
  EXPECT_NE(message_of([&] { loader.next(); }).find("image 23"), std::string::npos);
  EXPECT_FALSE(loader.next().has_value());
}

}  // namespace
}  // namespace reprise::data
