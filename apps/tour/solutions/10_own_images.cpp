// One way to do the exercises of lesson 10. It includes the lesson's program and renames its main.
#define main lesson
#include "apps/tour/10_own_images.cpp"
#undef main

#include <algorithm>

namespace {

// Returns the share of a split's images whose class the network names.
double accuracy_of(layers::Network& network, const data::LabelledImages& split) {
  const NoGrad nothing_to_record;
  network.train(false);
  const Tensor guess = ops::argmax_rows(network(ops::normalize_images(split.images)));
  double right = 0;
  for (std::int64_t i = 0; i < guess.numel(); ++i)
    right += guess.data<std::int64_t>()[i] == split.labels.data<std::int64_t>()[i];
  return right / static_cast<double>(guess.numel());
}

// 2. Learns the task with a method of reprogramming. Returns the accuracy on the validation images.
double learned_with(const char* method, const data::LoadedTask& task) {
  const auto network = layers::make_network("resnet20", 3);
  layers::load_state_dict(*network, data::read_weights("random.pth").tensors, /*strict=*/false);
  network->replace_head(3, /*seed=*/0);
  layers::apply_method(*network, method);
  optim::Adam adam(network->trained_parameters(), {.lr = 0.01});
  const std::int64_t n = task.train.images.dim(0), batch = 27;
  for (std::int64_t step = 0; step < 16; ++step) {
    // Every fourth image: the images are sorted by class.
    std::vector<std::int64_t> rows;
    for (std::int64_t i = 0; i < batch; ++i) rows.push_back((step + 4 * i) % n);
    std::vector<std::int64_t> labels;
    for (const std::int64_t row : rows) labels.push_back(task.train.labels.data<std::int64_t>()[row]);
    const Tensor x = ops::normalize_images(task.train.images, DType::f32, {}, tensor({batch}, rows));
    const Tensor loss = ops::cross_entropy((*network)(x), tensor({batch}, labels));
    adam.zero_grad();
    backward(loss);
    adam.step();
  }
  return accuracy_of(*network, task.val);
}

// Returns the first line of the error that f ends with.
template <class F>
std::string error_of(const F& f) {
  try {
    f();
  } catch (const Error& error) {
    const std::string text = error.what();
    return text.substr(0, text.find('\n'));
  }
  return "no error";
}

}  // namespace

int main(int, char** argv) {
  if (lesson(1, argv) != 0) return 1;
  const data::LoadedTask task = data::load_task("waves", 32);

  const auto read = layers::make_network("resnet20", 3);
  layers::load_state_dict(*read, data::read_weights("own.pth").tensors);
  const double again = accuracy_of(*read, task.val);
  std::printf("\n1. the network that was read back: %.1f %%\n", 100 * again);

  const double clr = learned_with("clr", task), tuned = learned_with("finetune", task);
  std::printf("\n2. CLR %.1f %%, fine-tuning %.1f %%\n", 100 * clr, 100 * tuned);

  const auto larger = layers::make_network("resnet32", 3);
  const auto report =
      layers::load_state_dict(*larger, data::read_weights("own.pth").tensors, /*strict=*/false);
  const std::string strict = error_of(
                        [&] { layers::load_state_dict(*larger, data::read_weights("own.pth").tensors); }),
                    forward = error_of([&] { (*larger)(ops::normalize_images(task.val.images)); });
  std::printf("\n3. matched %zu, missing %zu\n   %s\n   %s\n", report.matched.size(), report.missing.size(),
              strict.c_str(), forward.c_str());
  return again > 0.7 && clr > 0.6 && tuned > 0.6 && !report.missing.empty() &&
                 forward.find("never given values") != std::string::npos
             ? 0
             : 1;
}
