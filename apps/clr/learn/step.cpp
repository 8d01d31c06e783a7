#include "apps/clr/learn/step.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <optional>

#include "apps/clr/learn/estimate.h"
#include "apps/clr/learn/run_network.h"
#include "engine/autograd/autograd.h"
#include "engine/base/check.h"
#include "engine/base/gpu.h"
#include "engine/kernels/profile.h"
#include "engine/ops/ops.h"
#include "layers/reprogramming/method.h"
#include "optim/penalties.h"

namespace reprise::clr {
namespace {

// Returns the batch for evaluation. An image's result does not depend on it; the last bits of the
// mean loss do.
std::int64_t evaluation_batch(Device device, int size) {
  if (!device.is_host()) return 256;
  return size <= 64 ? 64 : 16;
}

std::vector<std::int64_t> range(std::int64_t begin, std::int64_t end) {
  std::vector<std::int64_t> indices(static_cast<std::size_t>(end - begin));
  std::iota(indices.begin(), indices.end(), begin);
  return indices;
}

// Returns the indices as they go through the network. Where libraries choose algorithms by shape,
// every batch has the full size: its last index is repeated.
std::vector<std::int64_t> filled(std::vector<std::int64_t> indices, std::int64_t batch, Device device) {
  if (!device.is_host() && gpu::chooses_by_shape())
    indices.resize(static_cast<std::size_t>(batch), indices.back());
  return indices;
}

// Calls f(indices, logits) for all images, batch by batch, in
// evaluation mode and without recording gradients.
template <class F>
void for_each_batch(layers::Network& network, Inputs& inputs, F f) {
  const EvaluationMode mode(network);
  const NoGrad no_grad;
  const std::int64_t n = inputs.count(), batch = evaluation_batch(inputs.device(), inputs.size());
  for (std::int64_t begin = 0; begin < n; begin += batch) {
    const std::int64_t end = std::min(n, begin + batch);
    const auto indices = range(begin, end);
    f(indices, inputs.logits(inputs.batch(filled(indices, batch, inputs.device()))).rows(0, end - begin));
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

std::int64_t count_equal(std::span<const std::int64_t> guesses, std::span<const std::int64_t> labels) {
  std::int64_t equal = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) equal += guesses[i] == labels[i];
  return equal;
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
  const std::int64_t n = store.count(), batch = evaluation_batch(device, store.size());
  for (std::int64_t begin = 0; begin < n; begin += batch) {
    const std::int64_t end = std::min(n, begin + batch);
    const Tensor images = store.batch(filled(range(begin, end), batch, device)).to(device);
    const Tensor features = network.features(ops::normalize_images(images, dtype));
    parts.push_back(features.rows(0, end - begin).to(ref_device));
  }
  features_ = ops::concat(parts, 0);
}

// Copies all images to the GPU if they take at most a quarter of its free memory:
// the training needs the rest.
void Inputs::put_on_gpu() {
  const std::int64_t n = store_.count(), size = store_.size(),
                     part = evaluation_batch(device_, store_.size());
  if (device_.is_host() || n * size * size * 3 > available_memory(device_) / 4) return;
  on_gpu_ = empty({n, size, size, 3}, DType::u8, device_);
  for (std::int64_t begin = 0; begin < n; begin += part) {
    const std::int64_t end = std::min(n, begin + part);
    Tensor rows = on_gpu_.rows(begin, end);
    copy_into(rows, store_.batch(range(begin, end)));
  }
}

// Returns labels and indices, i64 (2,N), on the host.
Tensor Inputs::numbers_of(std::span<const std::int64_t> indices) const {
  std::vector<std::int64_t> numbers = labels(indices);
  numbers.insert(numbers.end(), indices.begin(), indices.end());
  return tensor({2, std::ssize(indices)}, std::span<const std::int64_t>(numbers));
}

Batch Inputs::batch(std::vector<std::int64_t> indices) const {
  const std::int64_t n = std::ssize(indices);
  if (!on_gpu()) return {indices, store_.batch_labels(indices).to(device_), {}};
  const Tensor numbers = numbers_of(indices).to(device_);
  return {std::move(indices), numbers.rows(0, 1).viewed_as({n}), numbers.rows(1, 2).viewed_as({n})};
}

void Inputs::refill(Batch& batch, std::vector<std::int64_t> indices) const {
  const Tensor numbers = numbers_of(indices);
  Tensor rows[] = {batch.labels.viewed_as({1, batch.labels.numel()}),
                   batch.rows.viewed_as({1, batch.rows.numel()})};
  for (std::int64_t i = 0; i < 2; ++i) copy_into(rows[i], numbers.rows(i, i + 1));
  batch.indices = std::move(indices);
}

Tensor Inputs::logits(const Batch& batch) {
  if (features_.defined()) return network_.head()(gather_rows(features_, batch.indices).to(device_));
  if (on_gpu()) return network_(ops::normalize_images(on_gpu_, dtype_, {}, batch.rows));
  return network_(ops::normalize_images(store_.batch(batch.indices).to(device_), dtype_));
}

std::vector<std::int64_t> Inputs::labels(std::span<const std::int64_t> indices) const {
  const Tensor labels = store_.batch_labels(indices);
  return {labels.values<std::int64_t>().begin(), labels.values<std::int64_t>().end()};
}

const std::string& Inputs::path(std::int64_t index) const {
  return store_.samples()[static_cast<std::size_t>(index)].path;
}

void check_logits(const Tensor& logits, const std::function<std::string(std::int64_t row)>& image) {
  const Tensor values = logits.to(cpu_device).to(DType::f64);
  for (std::int64_t i = 0; i < values.numel(); ++i)
    REPRISE_CHECK(std::isfinite(values.data<double>()[i]), "{}: logit {} is {}: {}", image(i / values.dim(1)),
                  i % values.dim(1), values.data<double>()[i], backbone_at_fault);
}

std::vector<PredictedLabel> predicted_labels(layers::Network& network, Inputs& inputs) {
  std::vector<PredictedLabel> predictions;
  for_each_batch(network, inputs, [&](const auto& indices, const Tensor& logits) {
    check_logits(logits,
                 [&](std::int64_t row) { return inputs.path(indices[static_cast<std::size_t>(row)]); });
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
    const std::vector<std::int64_t> labels = inputs.labels(indices);
    const Tensor guesses = ops::argmax_rows(logits).to(cpu_device);
    correct += count_equal(guesses.values<std::int64_t>(), labels);
    const Tensor truth = tensor({std::ssize(labels)}, std::span<const std::int64_t>(labels), inputs.device());
    result.loss += ops::cross_entropy(logits, truth).item() * static_cast<double>(indices.size());
  });
  result.accuracy = static_cast<double>(correct) / n;
  result.loss /= n;
  return result;
}

Learner::Learner(layers::Network& network, const Recipe& recipe)
    : optimizer_(make_optimizer(network.trained_parameters(), recipe)), lambda_(recipe.lambda) {
  for (const layers::Entry& e : network.named_tensors()) kept_.push_back(*e.tensor);
  const auto kind = norm_kind(recipe.penalty);
  if (!kind) return;
  const layers::Regularised parts = layers::regularised(network);
  penalised_ = !parts.trained.empty();
  optimizer_->penalise(parts.trained, *kind, recipe.lambda);
  const NoGrad no_grad;
  if (!parts.frozen.empty()) frozen_penalty_ = lambda_ * optim::penalty(parts.frozen, *kind).item();
}

void StepResult::check_finite() const {
  REPRISE_CHECK(std::isfinite(loss), "the loss is {}: {}", loss,
                first ? backbone_at_fault : "a smaller --lr may help");
}

void UnreadSteps::add(const StepOutputs& o, std::vector<std::int64_t> labels) {
  const Device device = o.guesses.device();
  const std::int64_t at = count(), n = o.guesses.numel();
  REPRISE_INVARIANT(at < most, "nobody read the results of {} steps", at);
  if (at == 0 && (!guesses_.defined() || guesses_.dim(1) < n)) {
    losses_ = empty({most, 2}, o.cross_entropy.dtype(), device);
    guesses_ = empty({most, n}, DType::i64, device);
  }
  REPRISE_INVARIANT(guesses_.dim(1) >= n, "a batch of {} images after one of {}", n, guesses_.dim(1));
  const auto put = [](const Tensor& to, std::int64_t place, const Tensor& from) {
    Tensor part = to.viewed_as({to.numel()}).rows(place, place + from.numel());
    copy_into(part, from.viewed_as(part.shape()));
  };
  put(losses_, 2 * at, o.cross_entropy);
  if (o.norms.defined()) put(losses_, 2 * at + 1, o.norms);
  put(guesses_, at * guesses_.dim(1), o.guesses);
  labels_.push_back(std::move(labels));
}

template <class F>
void UnreadSteps::read(F f) {
  if (labels_.empty()) return;
  const Tensor losses = losses_.rows(0, count()).to(cpu_device).to(DType::f64);
  const Tensor all = guesses_.rows(0, count()).to(cpu_device);
  for (std::int64_t at = 0; at < count(); ++at) {
    const auto& labels = labels_[static_cast<std::size_t>(at)];
    const auto guesses = all.values<std::int64_t>().subspan(static_cast<std::size_t>(at * all.dim(1)));
    f(losses.data<double>()[2 * at], losses.data<double>()[2 * at + 1], count_equal(guesses, labels));
  }
  labels_.clear();
}

void Learner::start(Inputs& inputs, const std::vector<std::int64_t>& indices) {
  optimizer_->zero_grad();
  std::vector<std::int64_t> labels = inputs.labels(indices);
  if (gpu::captures_steps() && inputs.on_gpu() && !kernels_watched())
    return unread_.add(replay(inputs, indices), std::move(labels));
  optimizer_->begin_step();
  unread_.add(compute(inputs, inputs.batch(indices)), std::move(labels));
}

StepOutputs Learner::compute(Inputs& inputs, const Batch& batch) {
  const Tensor logits = inputs.logits(batch);
  const Tensor cross_entropy = ops::cross_entropy(logits, batch.labels);
  StepOutputs outputs{cross_entropy.detach(), optimizer_->norms(), ops::argmax_rows(logits.detach())};
  if (!one_.defined()) one_ = ones({}, cross_entropy.dtype(), cross_entropy.device());
  backward(cross_entropy, one_);
  optimizer_->finish_step();
  return outputs;
}

// Runs a step by the graph of its batch size. A size's first step runs plainly, as it allocates what
// later steps keep; the second one is captured.
const StepOutputs& Learner::replay(Inputs& inputs, const std::vector<std::int64_t>& indices) {
  Captured& c = captured_[std::ssize(indices)];
  const bool first = c.inputs != &inputs;
  if (first) c = Captured{&inputs, inputs.batch(indices), {}, nullptr};
  inputs.refill(c.batch, indices);
  optimizer_->begin_step();
  if (c.graph) {
    ++replays_;
    c.graph->replay();
    return c.outputs;
  }
  const gpu::StepMemory memory;
  if (first) {
    c.outputs = compute(inputs, c.batch);
    return c.outputs;
  }
  auto graph = std::make_unique<gpu::Graph>(c.batch.labels.device().index);
  c.outputs = compute(inputs, c.batch);
  graph->finish();
  graph->replay();
  c.graph = std::move(graph);
  return c.outputs;
}

std::vector<StepResult> Learner::results() {
  std::vector<StepResult> results;
  const std::int64_t updates = optimizer_->updates() - unread_.count();  // before the first of them
  unread_.read([&](double cross_entropy, double norms, std::int64_t correct) {
    StepResult r{cross_entropy + frozen_penalty_, cross_entropy, correct, updates + std::ssize(results) == 0};
    if (penalised_ && one_.dtype() == DType::f64)
      r.loss += lambda_ * norms;
    else if (penalised_)  // rounded as f32 rounds it
      r.loss += static_cast<double>(static_cast<float>(lambda_) * static_cast<float>(norms));
    results.push_back(r);
  });
  return results;
}

StepResult Learner::step(Inputs& inputs, const std::vector<std::int64_t>& indices) {
  start(inputs, indices);
  const StepResult result = results().back();
  result.check_finite();
  return result;
}

}  // namespace reprise::clr
