// How far rounding can move a network's answer: its ops' own bounds, weighed by gradients (lesson 12).
#pragma once

#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "apps/tour/drawings.h"
#include "engine/autograd/autograd.h"
#include "engine/ops/ops.h"
#include "layers/layers.h"
#include "optim/optimizer.h"

namespace tour {

constexpr double u = 0x1p-24;  // the largest relative error of one rounding to float32

// An op's output and what it says of its own rounding errors.
struct Told {
  std::string op;
  reprise::Tensor y;
  reprise::ops::ErrorTerms terms;
};
template <class F>
std::vector<Told> told_by(const F& run) {
  std::vector<Told> all;
  const reprise::ops::ErrorBounds bounds(
      [&](std::string_view op, const reprise::Tensor& y, const auto& terms) {
        all.push_back({std::string(op), y, terms()});
        reprise::retain_grad(y);
      });
  run();
  return all;
}

// Returns the bound of element i of y, an f64 tensor: whatever the order of the sums is. `bf16`: where
// images are stored in bf16, whose roundings change a number by at most 2^-8 of it.
inline double worst_of(const Told& told, std::int64_t i, bool bf16 = false) {
  using Kind = reprise::ops::ErrorTerm::Kind;
  double all = 0, direct = 0, winograd = 0;
  for (const reprise::ops::ErrorTerm& t : told.terms) {
    const double part =
        t.roundings * (t.kind == Kind::bf16 ? 0x1p-8 : u) * std::abs(t.magnitude.data<double>()[i]);
    if (t.kind == Kind::f32 || (bf16 && t.kind == Kind::bf16)) all += part;
    if (t.kind == Kind::direct) direct += part;
    if (t.kind == Kind::winograd) winograd += part;
  }
  return all + std::max(direct, winograd);
}

struct Margin {
  std::int64_t label, rival;  // the largest and the second largest score
  double margin, worst;       // between the two, and how far rounding can move it, to first order
};
// Computes the margin of one image in double: the sum, over the outputs y of all ops, of
// |d margin / d y| times y's bound. Adds each op's part to `shares`.
inline Margin margin_of(reprise::layers::Module& network, const reprise::Tensor& image,
                        std::map<std::string, double>& shares, bool bf16 = false) {
  const reprise::Tensor x = image.clone();
  reprise::set_requires_grad(x);
  reprise::Tensor z;
  const std::vector<Told> told = told_by([&] { z = network(x); });
  Margin m{0, -1, 0, 0};
  const double* scores = z.data<double>();
  for (std::int64_t j = 0; j < z.dim(1); ++j)
    if (scores[j] > scores[m.label]) m.label = j;
  for (std::int64_t j = 0; j < z.dim(1); ++j)
    if (j != m.label && (m.rival < 0 || scores[j] > scores[m.rival])) m.rival = j;
  m.margin = scores[m.label] - scores[m.rival];
  reprise::Tensor seed = reprise::zeros(z.shape(), z.dtype(), z.device());
  seed.mutable_data<double>()[m.label] = 1;
  seed.mutable_data<double>()[m.rival] = -1;
  reprise::backward(z, seed);
  for (const Told& t : told) {
    const reprise::Tensor g = reprise::grad(t.y);
    if (t.terms.empty() || !g.defined()) continue;  // an exact op
    double part = 0;
    for (std::int64_t i = 0; i < g.numel(); ++i) part += std::abs(g.data<double>()[i]) * worst_of(t, i, bf16);
    m.worst += part;
    shares[t.op] += part;
  }
  return m;
}

// Trains the small network of lesson 6 on digits, and marks nothing of it for gradients any more.
inline std::unique_ptr<reprise::layers::Sequential> digit_reader(const Drawings& train) {
  using namespace reprise;
  auto network = std::make_unique<layers::Sequential>();
  network->add<layers::Conv2d>(1, 8, 3, layers::Conv2dOptions{.padding = 1});
  network->add<layers::ReLU>();
  network->add<layers::MaxPool2d>();
  network->add<layers::Conv2d>(8, 16, 3, layers::Conv2dOptions{.padding = 1});
  network->add<layers::ReLU>();
  network->add<layers::MaxPool2d>();
  network->add<layers::Flatten>();
  network->add<layers::Linear>(4 * 4 * 16, 10);
  network->initialize(/*seed=*/0);
  optim::Adam adam(network->trained_parameters(), {.lr = 0.003});
  for (int step = 0; step < 150; ++step) {
    const std::int64_t first = step * 32 % train.images.dim(0);
    const Tensor scores = (*network)(train.images.rows(first, first + 32));
    adam.zero_grad();
    backward(ops::cross_entropy(scores, train.labels.rows(first, first + 32)));
    adam.step();
  }
  network->set_requires_grad(false);
  return network;
}

}  // namespace tour
