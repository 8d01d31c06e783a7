// Images are cut into batches: results where they fill whole batches, and where some are left.
#include <gtest/gtest.h>

#include <numeric>

#include "apps/clr/learn/backbone.h"
#include "apps/clr/learn/run_network.h"
#include "apps/clr/learn/step.h"
#include "apps/clr/learn/task_map.h"
#include "data/loader/image_store.h"
#include "engine/autograd/autograd.h"
#include "engine/ops/ops.h"
#include "layers/reprogramming/method.h"
#include "tests/apps/train_support.h"

namespace reprise::test {
namespace {

using namespace reprise::clr;

class Batches : public testing::Test {
 protected:
  // Images of three classes, one after the other, in files of 8x8 pixels, read at another size.
  data::ImageStore images(int count, int size) const {
    std::vector<data::Sample> samples;
    for (int i = 0; i < count; ++i) {
      const std::string name = std::to_string(i) + ".ppm";
      if (!exists(dir / name)) write_image(dir / name, 8, i, 5);
      samples.push_back({dir / name, name, i % 3});
    }
    data::ImageStore store(std::move(samples), size, dir / "cache");
    EXPECT_TRUE(store.load().empty());
    return store;
  }
  static std::vector<std::int64_t> range(std::int64_t begin, std::int64_t end) {
    std::vector<std::int64_t> indices(static_cast<std::size_t>(end - begin));
    std::iota(indices.begin(), indices.end(), begin);
    return indices;
  }
  const TempDir dir;
  const Backbone backbone =
      load_backbone(write_tiny_backbone(dir / "b.safetensors"), "auto", cpu_device, DType::f32);
  const std::unique_ptr<layers::Network> network = backbone.instantiate("linear", 3, 0, "dots");
};

// The loss is the sum over batches of 64 images up to 64 pixels, of 16 images beyond: to the last bit.
TEST_F(Batches, an_evaluation_sums_up_batches_of_64_or_of_16_images) {
  struct Case {
    int images, size, batch;
  };
  for (const Case c : {Case{64, 8, 64}, Case{65, 8, 64}, Case{17, 64, 64}, Case{17, 65, 16}}) {
    const data::ImageStore store = images(c.images, c.size);
    Inputs whole(*network, store, cpu_device, DType::f32, false);
    network->train(false);
    const NoGrad no_grad;
    double loss = 0;
    for (int begin = 0; begin < c.images; begin += c.batch) {
      const int end = std::min(begin + c.batch, c.images);
      const Batch batch = whole.batch(range(begin, end));
      loss += ops::cross_entropy(whole.logits(batch), batch.labels).item() * (end - begin);
    }
    const std::string what = std::to_string(c.images) + " of " + std::to_string(c.size) + " pixels";
    EXPECT_EQ(evaluate(*network, whole).loss, loss / c.images) << what;
    if (c.size > 8) continue;
    Inputs stored(*network, store, cpu_device, DType::f32, true);
    EXPECT_EQ(evaluate(*network, stored).loss, loss / c.images) << what << ", features stored";
    EXPECT_EQ(predicted_labels(*network, whole).size(), static_cast<std::size_t>(c.images)) << what;
  }
}

// 32 images, a whole batch of the task's network, are as far away as the task's own images are at
// most, and one is beyond that.
TEST_F(Batches, a_tasks_network_answers_for_images_up_to_the_limit) {
  TaskFile file;
  file.task = "dots";
  file.method = "linear";
  file.arch = backbone.arch;
  file.backbone_identity = backbone.identity;
  file.classes = {"a", "b", "c"};
  file.tensors = task_tensors_of(*network);
  TaskMap map;
  map.features.insert(0, {2, {0, 0, 400, 100, 0, 0, 300, 500, 10, 20, 0, 0}},
                      std::vector<std::int64_t>{0, 0, 1, 1, 2, 2}, 3);
  FeatureRows rows{2, {}};
  for (int i = 0; i < 33; ++i)
    for (const std::int32_t x : {i < 32 ? 700 : 900, i < 32 ? -700 : -900}) rows.values.push_back(x);
  map.tasks = {{"dots", file.classes, "", false, ClassDistances(map.features).to_tasks(rows.row(0)), {}}};
  const data::ImageStore store = images(33, 8);
  const std::vector<InferredImage> inferred = infer(backbone, map, {file}, store, rows, {});
  const Tensor logits = outputs_of(*network, store.batch(range(0, 32))).logits;
  const Tensor labels = ops::argmax_rows(logits);
  ASSERT_EQ(inferred.size(), 33U);
  for (std::size_t i = 0; i < 32; ++i) {
    ASSERT_EQ(inferred[i].answers.size(), 1U) << i;
    EXPECT_EQ(inferred[i].answers[0].label, labels.values<std::int64_t>()[i]) << i;
  }
  EXPECT_TRUE(inferred[32].answers.empty());
}

TEST_F(Batches, a_caller_may_leave_1024_steps_unread) {
  UnreadSteps unread;
  const StepOutputs outputs{ones({}), {}, zeros({1}, DType::i64)};
  for (int i = 0; i < 1024; ++i) unread.add(outputs, {0});
  EXPECT_EQ(unread.count(), 1024);
  std::string said;
  try {
    unread.add(outputs, {0});
  } catch (const std::exception& e) {
    said = e.what();
  }
  EXPECT_SAYS(said, "nobody read the results of 1024 steps");
  EXPECT_EQ(unread.count(), 1024);
  UnreadSteps larger;
  larger.add(outputs, {0});
  EXPECT_ANY_THROW(larger.add({ones({}), {}, zeros({2}, DType::i64)}, {0, 0})) << "the largest comes first";
}

}  // namespace
}  // namespace reprise::test
