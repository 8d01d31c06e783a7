// Batch normalisation: shows what it does in training and
// in evaluation, and the mistakes that everyone makes once.
#include <cmath>
#include <cstdio>
#include <string>

#include "apps/tour/drawings.h"
#include "engine/autograd/autograd.h"
#include "engine/base/error.h"
#include "engine/ops/ops.h"
#include "layers/layers.h"
#include "optim/optimizer.h"

using namespace reprise;

namespace {

double at(const Tensor& t, std::int64_t i) {
  return static_cast<double>(t.data<float>()[i]);
}

// 1. In training an image's result depends on the other images
// of the batch. An image here is one number, (N,1,1,1).
bool neighbours() {
  layers::BatchNorm2d norm(1);
  const NoGrad nothing_to_record;
  const Tensor a = norm(tensor({4, 1, 1, 1}, {1, 2, 3, 4})), b = norm(tensor({4, 1, 1, 1}, {1, 20, 30, 40}));
  std::printf("1. The image 1 beside 2, 3, 4 gives %.3f; beside 20, 30, 40 it gives %.3f.\n", at(a, 0),
              at(b, 0));
  norm.train(false);
  const Tensor c = norm(tensor({2, 1, 1, 1}, {1, 2})), d = norm(tensor({2, 1, 1, 1}, {1, 20}));
  std::printf("   In evaluation: %.3f and %.3f.\n\n", at(c, 0), at(d, 0));
  return at(a, 0) != at(b, 0) && at(c, 0) == at(d, 0);
}

// 2. The batch is normalised with its biased variance (divided by
// n). The running variance, which evaluation uses, moves a tenth of
// the way towards the unbiased one (divided by n - 1) in each step.
bool variances() {
  layers::BatchNorm2d norm(1);
  const NoGrad nothing_to_record;
  const Tensor x = tensor({4, 1, 1, 1}, {1, 2, 3, 6});  // mean 3, squares of the distances 4 + 1 + 0 + 9 = 14
  const Tensor y = norm(x);
  std::printf("2. Of 1, 2, 3, 6: biased variance 14/4 = 3.5, unbiased 14/3 = 4.667. The 6 becomes %.4f,\n",
              at(y, 3));
  std::printf("   and 3/sqrt(3.5) is %.4f. The running variance was 1 and is %.4f: 0.9 * 1 + 0.1 * 4.667.\n",
              3 / std::sqrt(3.5), at(norm.running_var, 0));
  for (int step = 2; step <= 40; ++step) {
    norm(x);
    if (step == 10 || step == 40)
      std::printf("   After %d equal batches: running mean %.3f, variance %.3f.\n", step,
                  at(norm.running_mean, 0), at(norm.running_var, 0));
  }
  std::printf("\n");
  return std::abs(at(y, 3) - 3 / std::sqrt(3.5)) < 1e-4 && std::abs(at(norm.running_var, 0) - 14.0 / 3) < 0.1;
}

// 3. A batch with one value per channel has no variance: the engine refuses it.
bool last_batch_of_one() {
  layers::BatchNorm2d norm(1);
  try {
    norm(tensor({1, 1, 1, 1}, {7}));
  } catch (const Error& error) {
    std::printf("3. A last batch of one image, one pixel:\n%s\n\n", error.what());
    return true;
  }
  return false;
}

// 4. Measures a network with batch norm in the wrong mode. In training mode a batch
// must look like those that the network learned from; a batch of one digit does not.
bool wrong_mode() {
  const tour::Drawings train = tour::draw(tour::digits, 800, 1, "tour/norm/train");
  const tour::Drawings test = tour::draw(tour::digits, 400, 1, "tour/norm/test");
  layers::Sequential network;
  for (const auto& [in, out] : {std::pair{1, 16}, std::pair{16, 32}}) {
    network.add<layers::Conv2d>(in, out, 3, layers::Conv2dOptions{.stride = 2, .padding = 1, .bias = false});
    network.add<layers::BatchNorm2d>(out);
    network.add<layers::ReLU>();
  }
  network.add<layers::GlobalAvgPool>();
  network.add<layers::Linear>(32, 10);
  network.initialize(/*seed=*/0);
  optim::Adam adam(network.trained_parameters(), {.lr = 0.01});
  for (int step = 0; step < 300; ++step) {
    const std::int64_t first = step * 32 % 800;
    const Tensor loss = ops::cross_entropy(network(train.images.rows(first, first + 32)),
                                           train.labels.rows(first, first + 32));
    adam.zero_grad();
    backward(loss);
    adam.step();
  }
  // Accuracy in percent on batches of one digit each, as in a test set sorted by class.
  const auto sorted_accuracy = [&] {
    double sum = 0;
    for (std::size_t digit = 0; digit < 10; ++digit) {
      tour::Drawings one = tour::draw({tour::digits[digit]}, 40, 1, "tour/norm/sorted");
      one.labels = tensor({40}, std::vector<std::int64_t>(40, static_cast<std::int64_t>(digit)));
      sum += tour::accuracy(network, one) / 10;
    }
    return 100 * sum;
  };
  network.train(false);
  const double right = 100 * tour::accuracy(network, test), right_sorted = sorted_accuracy();
  network.train(true);
  const double mixed = 100 * tour::accuracy(network, test), wrong = sorted_accuracy();
  std::printf("4. Accuracy          mixed batches   one digit a batch\n");
  std::printf("   evaluation mode  %12.1f %%  %16.1f %%\n   training mode    %12.1f %%  %16.1f %%\n", right,
              right_sorted, mixed, wrong);
  return right_sorted > 60 && wrong < right_sorted - 20;
}

}  // namespace

int main() {
  const bool told[] = {neighbours(), variances(), last_batch_of_one(), wrong_mode()};
  return told[0] && told[1] && told[2] && told[3] ? 0 : 1;
}
