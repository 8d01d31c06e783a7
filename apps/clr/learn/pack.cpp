#include "apps/clr/learn/pack.h"

#include <algorithm>
#include <cmath>

#include "engine/autograd/autograd.h"
#include "engine/base/check.h"
#include "layers/batch_norm.h"
#include "layers/conv2d.h"
#include "layers/file_layout.h"
#include "layers/network.h"
#include "layers/reprogramming/method.h"

namespace reprise::clr {
namespace {

using Tensors = std::map<std::string, Tensor>;

std::unique_ptr<layers::Network> network_of(const std::string& arch, const std::string& method, int classes) {
  auto network = layers::make_network(arch, classes);
  layers::apply_method(*network, method);
  return network;
}

// A trained batch norm, and the tensor whose rows take its scale: a filter, or its own weight.
struct Norm {
  const layers::BatchNorm2d* layer;
  std::string scaled;
};

// Modules are registered in the order in which they run: a batch norm normalises the output of the
// last convolution before it.
std::vector<Norm> norms_of(const layers::Network& network) {
  std::vector<Norm> norms;
  const layers::Conv2d* conv = nullptr;
  for (const layers::Module* m : network.modules()) {
    if (const auto* c = dynamic_cast<const layers::Conv2d*>(m)) conv = c;
    const auto* bn = dynamic_cast<const layers::BatchNorm2d*>(m);
    if (bn == nullptr || !requires_grad(bn->weight)) continue;
    std::string scaled = bn->path();
    const layers::Reprogram* added = conv != nullptr ? conv->reprogram() : nullptr;
    if (added != nullptr && added->block_filter().defined())
      scaled = added->path();
    else if (conv != nullptr && added == nullptr && requires_grad(conv->weight) && !conv->bias.defined())
      scaled = conv->path();
    norms.push_back({bn, scaled + ".weight"});
    conv = nullptr;
  }
  return norms;
}

// A tensor that a packed file stores, with its shape in files.
struct Piece {
  std::string name;
  Shape shape;
  std::int64_t taps() const { return shape.numel() / shape[0]; }
  // Return whether int8 rounds its rows, and whether their centres stay apart.
  bool has_integers() const { return taps() > 1; }
  bool has_centres() const { return has_integers() && shape.rank() == 4 && shape[1] == 1; }
};

std::vector<Piece> pieces_of(const layers::Network& network) {
  std::vector<Piece> pieces;
  const std::vector<Norm> norms = norms_of(network);
  const auto is_folded = [&](const std::string& name) {
    return std::ranges::any_of(
        norms, [&](const Norm& n) { return name == n.layer->path() + ".weight" && name != n.scaled; });
  };
  for (const layers::ConstEntry& e : layers::task_tensors(network))
    if (!e.is_buffer && !is_folded(e.name))
      pieces.push_back({e.name, layers::file_shape(e.tensor->shape(), e.layout)});
  std::ranges::sort(pieces, {}, &Piece::name);
  return pieces;
}

// The numbers of elements of both tensors.
struct Counts {
  std::int64_t integers = 0, values = 0;
};
Counts counts_of(const std::vector<Piece>& pieces, bool int8) {
  Counts c;
  for (const Piece& p : pieces) {
    const std::int64_t rows = p.shape[0], centres = p.has_centres() ? rows : 0;
    const bool rounded = int8 && p.has_integers();
    c.integers += rounded ? p.shape.numel() - centres : 0;
    c.values += rounded ? rows + centres : p.shape.numel();
  }
  return c;
}

// Multiplies each row of a tensor by its factor.
void scale_rows(Tensor& tensor, const std::vector<double>& factors) {
  const std::int64_t taps = tensor.numel() / std::ssize(factors);
  float* w = tensor.mutable_data<float>();
  for (std::int64_t i = 0; i < tensor.numel(); ++i)
    w[i] = static_cast<float>(static_cast<double>(w[i]) * factors[static_cast<std::size_t>(i / taps)]);
}

void fold(const layers::Network& network, Tensors& tensors) {
  for (const Norm& norm : norms_of(network)) {
    const std::string& bn = norm.layer->path();
    const auto row = [&](const char* name) { return tensors.at(bn + name).to(DType::f64); };
    const Tensor g = row(".weight"), b = row(".bias"), m = row(".running_mean"), v = row(".running_var");
    Tensor &beta = tensors.at(bn + ".bias"), &gamma = tensors.at(bn + ".weight");
    std::vector<double> scale;
    for (std::int64_t c = 0; c < v.numel(); ++c) {
      scale.push_back(g.data<double>()[c] / std::sqrt(v.data<double>()[c] + norm.layer->args.eps));
      beta.mutable_data<float>()[c] =
          static_cast<float>(b.data<double>()[c] - m.data<double>()[c] * scale.back());
    }
    if (norm.scaled == bn + ".weight") gamma = ones(gamma.shape());
    scale_rows(tensors.at(norm.scaled), scale);
  }
}

}  // namespace

std::vector<data::NamedTensor> pack_tensors(const TaskFile& task, const std::string& form) {
  Tensors tensors;
  const auto network = network_of(task.arch, task.method, static_cast<int>(task.classes.size()));
  apply_task(*network, task.tensors);
  for (const auto& [name, tensor] : task_tensors_of(*network)) tensors[name] = tensor.clone();
  fold(*network, tensors);
  std::vector<float> values;
  std::vector<std::uint8_t> integers;
  for (const Piece& p : pieces_of(*network)) {
    const auto w = tensors.at(p.name).values<float>();
    for (const float v : w)
      REPRISE_CHECK(form == "fold" || std::abs(v) <= 65504,
                    "{}: a number of {} is {} and too large for f16; pack it as fold", task.path, p.name, v);
    const bool int8 = form == "int8" && p.has_integers();
    if (!int8) values.insert(values.end(), w.begin(), w.end());
    const auto taps = static_cast<std::size_t>(p.taps()), centre = p.has_centres() ? taps / 2 : taps;
    for (std::size_t at = 0; int8 && at < w.size(); at += taps) {
      float largest = 0;
      for (std::size_t k = 0; k < taps; ++k)
        if (k != centre) largest = std::max(largest, std::abs(w[at + k]));
      if (centre < taps) values.push_back(w[at + centre]);
      const float step = values.emplace_back(largest / 127);
      for (std::size_t k = 0; k < taps; ++k)
        if (k != centre)
          integers.push_back(static_cast<std::uint8_t>(128 + (step > 0 ? std::lround(w[at + k] / step) : 0)));
    }
  }
  std::vector<data::NamedTensor> stored{
      {"values", tensor({std::ssize(values)}, std::span<const float>(values))}};
  if (form == "int8")
    stored.push_back({"integers", tensor({std::ssize(integers)}, std::span<const std::uint8_t>(integers))});
  return stored;
}

std::vector<data::NamedTensor> unpack_tensors(const TaskFile& task,
                                              const std::vector<data::NamedTensor>& stored) {
  const auto network = network_of(task.arch, task.method, static_cast<int>(task.classes.size()));
  const bool int8 = task.packed == "int8";
  const auto pieces = pieces_of(*network);
  const Counts wanted = counts_of(pieces, int8);
  const auto read = [&](const std::string& name, DType dtype, std::int64_t count) {
    const auto found = std::ranges::find(stored, name, &data::NamedTensor::name);
    REPRISE_CHECK(found != stored.end() && found->tensor.dtype() == dtype && found->tensor.numel() == count,
                  "{}: a task packed as {}: expected {} {} in the tensor '{}', got {}", task.path,
                  task.packed, count, name_of(dtype), name,
                  found == stored.end() ? "no such tensor" : describe(found->tensor));
    return found->tensor;
  };
  const Tensor values = read("values", DType::f32, wanted.values);
  const Tensor integers = int8 ? read("integers", DType::u8, wanted.integers) : Tensor();
  const float* value = values.data<float>();
  const std::uint8_t* integer = int8 ? integers.data<std::uint8_t>() : nullptr;

  std::vector<data::NamedTensor> tensors;
  for (const Piece& p : pieces) {
    Tensor t = empty(p.shape);
    float* w = t.mutable_data<float>();
    const std::int64_t n = p.shape.numel(), taps = p.taps(), centre = p.has_centres() ? taps / 2 : taps;
    const bool rounded = int8 && p.has_integers();
    if (!rounded) std::copy_n(value, n, w), value += n;
    for (std::int64_t at = 0; rounded && at < n; at += taps) {
      if (centre < taps) w[at + centre] = *value++;
      for (std::int64_t k = 0; k < taps; ++k)
        if (k != centre) w[at + k] = *value * static_cast<float>(int{*integer++} - 128);
      ++value;
    }
    tensors.push_back({p.name, t});
  }
  for (const Norm& norm : norms_of(*network)) {
    const std::string& bn = norm.layer->path();
    const Shape& shape = norm.layer->weight.shape();
    if (norm.scaled != bn + ".weight") tensors.push_back({bn + ".weight", ones(shape)});
    tensors.push_back({bn + ".running_mean", zeros(shape)});
    tensors.push_back({bn + ".running_var", full(shape, 1 - norm.layer->args.eps)});
  }
  return tensors;
}

std::map<std::string, std::int64_t> packed_bytes(const std::string& arch, const std::string& method,
                                                 int classes) {
  const auto pieces = pieces_of(*network_of(arch, method, classes));
  const Counts plain = counts_of(pieces, false), rounded = counts_of(pieces, true);
  return {
      {"fold", 4 * plain.values}, {"f16", 2 * plain.values}, {"int8", rounded.integers + 2 * rounded.values}};
}

}  // namespace reprise::clr
