// What a step reports as its loss: the cross-entropy, and the penalty as the dtype rounds it.
#include <gtest/gtest.h>

#include "apps/clr/learn/backbone.h"
#include "apps/clr/learn/step.h"
#include "data/loader/image_store.h"
#include "engine/autograd/autograd.h"
#include "engine/ops/ops.h"
#include "layers/reprogramming/method.h"
#include "optim/penalties.h"
#include "tests/apps/train_support.h"

namespace reprise::test {
namespace {

using namespace reprise::clr;

TEST(StepLoss, adds_the_penalty_as_the_dtype_rounds_it_and_nothing_without_one) {
  const TempDir dir;
  write_image(dir / "0.ppm", 8, 0, 1);
  data::ImageStore store({{dir / "0.ppm", "0.ppm", 0}}, 8, dir / "cache");
  ASSERT_TRUE(store.load().empty());
  write_tiny_backbone(dir / "b.safetensors");
  for (const DType dtype : {DType::f32, DType::f64})
    for (const std::string penalty : {"none", "l2"}) {
      const Backbone backbone = load_backbone(dir / "b.safetensors", "auto", cpu_device, dtype);
      const auto network = backbone.instantiate("clr", 3, 0, "dots");
      Recipe recipe;
      recipe.penalty = penalty, recipe.lambda = 1e-3;
      double frozen = 0, trained = 0;
      if (penalty != "none") {
        const NoGrad no_grad;
        const layers::Regularised parts = layers::regularised(*network);
        frozen = recipe.lambda * optim::penalty(parts.frozen, NormKind::l2).item();
        trained = recipe.lambda * optim::penalty(parts.trained, NormKind::l2).item();
      }
      ones({UnreadSteps::most, 2}, dtype);  // memory that the steps' numbers may get
      Learner learner(*network, recipe);
      Inputs inputs(*network, store, cpu_device, dtype, false);
      const StepResult result = learner.step(inputs, {0});
      const double got = result.loss - result.cross_entropy - frozen;
      EXPECT_NEAR(got, trained, (dtype == DType::f64 ? 1e-12 : 1e-6) * trained)
          << name_of(dtype) << " " << penalty;
      if (dtype == DType::f32) {
        EXPECT_NEAR(got, static_cast<double>(static_cast<float>(got)), 1e-14) << "a product in f32";
      }
      EXPECT_TRUE(result.first);
      EXPECT_FALSE(learner.step(inputs, {0}).first);
    }
}

}  // namespace
}  // namespace reprise::test
