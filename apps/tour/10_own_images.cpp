// Your own images and weights: a folder of images and a weight file become a classifier.
//   tour_10_own_images FOLDER WEIGHTS ARCHITECTURE IMAGE
// Without arguments the program draws a folder of images, and writes a file of random weights.
#include <algorithm>
#include <cstdio>

#include "apps/tour/example_files.h"
#include "data/loader/load_images.h"
#include "engine/autograd/autograd.h"
#include "engine/base/error.h"
#include "engine/ops/ops.h"
#include "optim/optimizer.h"

using namespace reprise;

int main(int argc, char** argv) try {
  const bool own = argc == 5;
  const std::string folder = own ? argv[1] : tour::draw_waves("waves");
  const std::string weights = own ? argv[2] : tour::write_random_weights("random.pth");
  const std::string image = own ? argv[4] : folder + "/rings/7.png";

  // A network with a head for the folder's classes, and the file's tensors in all that fits.
  const auto network = layers::make_network(own ? argv[3] : "resnet20", 2);
  const int size = network->default_size();
  const data::LoadedTask task = data::load_task(folder, size);
  network->set_requires_grad(false);
  network->replace_head(static_cast<int>(task.classes.size()), /*seed=*/0);
  const layers::LoadReport report =
      layers::load_state_dict(*network, data::read_weights(weights).tensors, /*strict=*/false);
  std::printf("%s: %s\n", weights.c_str(), report.text().c_str());
  network->train(false);  // batch norm uses the file's statistics

  // The frozen part computes each image's features once.
  const auto features_of = [&](const Tensor& images) {
    const NoGrad nothing_to_record;
    std::vector<Tensor> parts;
    for (std::int64_t i = 0; i < images.dim(0); i += 16)
      parts.push_back(
          network->features(ops::normalize_images(images.rows(i, std::min(i + 16, images.dim(0))))));
    return ops::concat(parts, 0);
  };
  const Tensor train = features_of(task.train.images), val = features_of(task.val.images);

  // The head learns from the features.
  optim::Adam adam(network->trained_parameters(), {.lr = 0.01});
  for (int step = 1; step <= 200; ++step) {
    const Tensor loss = ops::cross_entropy(network->head()(train), task.train.labels);
    adam.zero_grad();
    backward(loss);
    adam.step();
    if (step == 1 || step % 50 == 0) std::printf("  step %3d  loss %.4f\n", step, loss.item());
  }
  const Tensor guess = ops::argmax_rows(network->head()(val).detach());
  double right = 0;
  for (std::int64_t i = 0; i < guess.numel(); ++i)
    right += guess.data<std::int64_t>()[i] == task.val.labels.data<std::int64_t>()[i];
  const double unseen = right / static_cast<double>(guess.numel());
  std::printf("accuracy on %.0f images that it did not learn from: %.1f %%\n",
              static_cast<double>(guess.numel()), 100 * unseen);

  // The trained network as PyTorch reads it, and its answer for one image.
  data::write_pth("own.pth", layers::state_dict(*network));
  const Tensor logits = network->head()(features_of(data::load_images({image}, size)));
  std::printf("%s: %s\n", image.c_str(),
              task.classes[static_cast<std::size_t>(ops::argmax_rows(logits.detach()).item())].c_str());
  return own || unseen > 0.7 ? 0 : 1;
} catch (const Error& error) {  // for example an image that cannot be read
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
