#include "apps/clr/learn/step.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "apps/clr/learn/estimate.h"
#include "apps/clr/learn/run_network.h"
#include "engine/autograd/autograd.h"
#include "engine/base/check.h"
#include "engine/ops/ops.h"
#include "layers/reprogramming/method.h"
#include "optim/penalties.h"

namespace reprise::clr {
namespace {

// Returns the batch for evaluation. It decides only speed and
// memory: an image's result does not depend on its batch.
std::int64_t evaluation_batch(int size) {
  return size <= 64 ? 64 : 16;
}

std::vector<std::int64_t> range(std::int64_t begin, std::int64_t end) {
  std::vector<std::int64_t> indices(static_cast<std::size_t>(end - begin));
  std::iota(indices.begin(), indices.end(), begin);
  return indices;
}

// Calls f(indices, logits) for all images, batch by batch, in
// evaluation mode and without recording gradients.
template <class F>
void for_each_batch(layers::Network& network, Inputs& inputs, F f) {
  const EvaluationMode mode(network);
  const NoGrad no_grad;
  const std::int64_t n = inputs.count(), batch = evaluation_batch(inputs.size());
  for (std::int64_t begin = 0; begin < n; begin += batch) {
    const auto indices = range(begin, std::min(n, begin + batch));
    f(indices, inputs.logits(indices));
  }
}

// Copies rows of a matrix on the host.
Tensor gather_rows(const Tensor& matrix, std::span<const std::int64_t> indices) {
  Tensor rows = empty(matrix.shape().with(0, static_cast<std::int64_t>(indices.size())), matrix.dtype(),
                      matrix.device());
  const std::size_t row_bytes = matrix.bytes() / static_cast<std::size_t>(matrix.dim(0));
  const MutView to = rows.mut_view();
  for (std::size_t i = 0; i < indices.size(); ++i)
    std::memcpy(static_cast<std::byte*>(to.ptr) + i * row_bytes,
                matrix.raw_bytes().data() + static_cast<std::size_t>(indices[i]) * row_bytes, row_bytes);
  return rows;
}

std::int64_t count_correct(const Tensor& logits, const Tensor& labels) {
  const Tensor guesses = ops::argmax_rows(logits.detach()).to(cpu_device), truth = labels.to(cpu_device);
  const auto guess = guesses.values<std::int64_t>(), label = truth.values<std::int64_t>();
  std::int64_t correct = 0;
  for (std::size_t i = 0; i < label.size(); ++i) correct += guess[i] == label[i];
  return correct;
}

std::optional<NormKind> norm_kind(const std::string& name) {
  if (name == "l1") return NormKind::l1;
  if (name == "l2") return NormKind::l2;
  if (name == "l12") return NormKind::l12;
  return std::nullopt;
}

std::unique_ptr<optim::Optimizer> make_optimizer(std::vector<Tensor> parameters, const Recipe& recipe) {
  if (recipe.optimizer == "sgd") {
    optim::SgdOptions options;
    options.lr = recipe.lr;
    options.momentum = recipe.momentum;
    options.weight_decay = recipe.weight_decay;
    return std::make_unique<optim::Sgd>(std::move(parameters), options);
  }
  optim::AdamOptions options;
  options.lr = recipe.lr;
  options.weight_decay = recipe.weight_decay;
  return std::make_unique<optim::Adam>(std::move(parameters), options);
}

}  // namespace

Inputs::Inputs(layers::Network& network, const data::ImageStore& store, Device device, DType dtype,
               bool features_once)
    : network_(network), store_(store), device_(device), dtype_(dtype) {
  if (!features_once) {
    put_on_gpu();
    return;
  }
  const EvaluationMode mode(network);
  const NoGrad no_grad;
  std::vector<Tensor> parts;
  const std::int64_t n = store.count(), batch = evaluation_batch(store.size());
  for (std::int64_t begin = 0; begin < n; begin += batch)
    parts.push_back(network.features(normalised(range(begin, std::min(n, begin + batch)))).to(ref_device));
  features_ = ops::concat(parts, 0);
}

// Copies all images to the GPU if they take at most a quarter of its free memory:
// the training needs the rest.
void Inputs::put_on_gpu() {
  const std::int64_t n = store_.count(), size = store_.size(), part = evaluation_batch(store_.size());
  if (device_.is_host() || n * size * size * 3 > available_memory(device_) / 4) return;
  on_gpu_ = empty({n, size, size, 3}, DType::u8, device_);
  for (std::int64_t begin = 0; begin < n; begin += part) {
    const std::int64_t end = std::min(n, begin + part);
    Tensor rows = on_gpu_.rows(begin, end);
    copy_into(rows, store_.batch(range(begin, end)));
  }
}

Tensor Inputs::normalised(std::span<const std::int64_t> indices) const {
  if (on_gpu_.defined()) {
    const Tensor rows = tensor({static_cast<std::int64_t>(indices.size())}, indices).to(device_);
    return ops::normalize_images(on_gpu_, dtype_, {}, rows);
  }
  return ops::normalize_images(store_.batch(indices).to(device_), dtype_);
}

Tensor Inputs::logits(std::span<const std::int64_t> indices) {
  if (features_.defined()) return network_.head()(gather_rows(features_, indices).to(device_));
  return network_(normalised(indices));
}

Tensor Inputs::labels(std::span<const std::int64_t> indices) const {
  return store_.batch_labels(indices).to(device_);
}

std::vector<PredictedLabel> predicted_labels(layers::Network& network, Inputs& inputs) {
  std::vector<PredictedLabel> predictions;
  for_each_batch(network, inputs, [&](const auto&, const Tensor& logits) {
    const Tensor labels = ops::argmax_rows(logits).to(ref_device);
    const Tensor shares = ops::softmax(logits.to(ref_device).to(DType::f64));
    for (std::int64_t i = 0; i < labels.numel(); ++i) {
      const std::int64_t label = labels.values<std::int64_t>()[static_cast<std::size_t>(i)];
      predictions.push_back({label, shares.data<double>()[i * shares.dim(1) + label]});
    }
  });
  return predictions;
}

Evaluation evaluate(layers::Network& network, Inputs& inputs) {
  Evaluation result;
  std::int64_t correct = 0;
  const auto n = static_cast<double>(inputs.count());
  for_each_batch(network, inputs, [&](const auto& indices, const Tensor& logits) {
    const Tensor labels = inputs.labels(indices);
    correct += count_correct(logits, labels);
    result.loss += ops::cross_entropy(logits, labels).item() * static_cast<double>(indices.size());
  });
  result.accuracy = static_cast<double>(correct) / n;
  result.loss /= n;
  return result;
}

Learner::Learner(layers::Network& network, const Recipe& recipe)
    : optimizer_(make_optimizer(network.trained_parameters(), recipe)), lambda_(recipe.lambda) {
  const auto kind = norm_kind(recipe.penalty);
  if (!kind) return;
  const layers::Regularised parts = layers::regularised(network);
  optimizer_->penalise(parts.trained, *kind, recipe.lambda);
  const NoGrad no_grad;
  if (!parts.frozen.empty()) frozen_penalty_ = lambda_ * optim::penalty(parts.frozen, *kind).item();
}

StepResult Learner::step(Inputs& inputs, std::span<const std::int64_t> indices) {
  const Tensor logits = inputs.logits(indices), labels = inputs.labels(indices);
  const Tensor cross_entropy = ops::cross_entropy(logits, labels);
  StepResult result;
  result.cross_entropy = cross_entropy.item();
  result.loss = result.cross_entropy + frozen_penalty_;
  if (const Tensor norms = optimizer_->norms(); norms.defined())
    result.loss += static_cast<double>(static_cast<float>(lambda_) * static_cast<float>(norms.item()));
  REPRISE_CHECK(std::isfinite(result.loss), "the loss is {}; a smaller --lr may help", result.loss);
  optimizer_->zero_grad();
  backward(cross_entropy);
  optimizer_->step();
  result.correct = count_correct(logits, labels);
  return result;
}

}  // namespace reprise::clr
