// One way to do the exercises of lesson 11. It includes the lesson's program and renames its main.
#define main lesson
#include "apps/tour/11_whose_picture.cpp"
#undef main

#include "engine/autograd/autograd.h"
#include "layers/layers.h"
#include "optim/optimizer.h"

namespace {

// 1. Trains a head for each task on the task's own images. Returns each head's entropy for each x, (N, tasks).
Tensor trained_entropy(const Tensor& train, const Tensor& x) {
  const std::int64_t n = train.dim(0) / tasks;
  std::vector<std::int64_t> second;  // whether an image is of the task's second class
  for (std::int64_t i = 0; i < n; ++i) second.push_back(2 * i / n);
  std::vector<Tensor> scores;
  for (int t = 0; t < tasks; ++t) {
    layers::Linear head(2, 2);
    head.initialize(/*seed=*/0);
    const Tensor own = train.rows(t * n, (t + 1) * n).to(cpu_device).to(DType::f32);
    optim::Adam adam(head.trained_parameters(), {.lr = 0.05});
    for (int step = 0; step < 400; ++step) {
      adam.zero_grad();
      backward(ops::cross_entropy(head(own), tensor({n}, second)));
      adam.step();
    }
    const Tensor logits = head(x.to(cpu_device).to(DType::f32)).detach().to(DType::f64).to(ref_device);
    scores.push_back(
        ops::reshape(-ops::sum(ops::softmax(logits) * ops::log_softmax(logits), 1), {x.dim(0), 1}));
  }
  return ops::concat(scores, 1);
}

// 2. Sums products of two features, rounded to multiples of a unit, in two orders. Returns the difference.
double apart(const Tensor& x, double unit) {
  double forward = 0, backward = 0;
  const auto product = [&](std::int64_t i) {
    const double* row = x.data<double>() + 2 * i;
    return std::round(row[0] / unit) * unit * (std::round(row[1] / unit) * unit);
  };
  for (std::int64_t i = 0; i < x.dim(0); ++i) forward += product(i), backward += product(x.dim(0) - 1 - i);
  return std::abs(forward - backward);
}

// 3. Returns how many per cent of the images of all tasks are refused.
double refused(const Distances& map, const Tensor& images, double limit) {
  const std::vector<int> named = least(nearer(map(images)), limit);
  return 100 * static_cast<double>(std::ranges::count(named, none)) / static_cast<double>(named.size());
}

}  // namespace

int main() {
  if (lesson() != 0) return 1;
  const Tensor train = images_of(6, 50, 1), test = images_of(6, 500, 2);
  const double best = right(least(entropy(Distances(train)(test)))),
               trained = right(least(trained_entropy(train, test)));
  std::printf("\n1. right by the entropy of the best heads: %.1f %%, of trained heads: %.1f %%\n", best,
              trained);

  const double fine = apart(train, 0x1p-40), coarse = apart(train, 0x1p-20);
  std::printf("\n2. two orders differ by %.1e; with features rounded to 2^-20, by %.1e\n", fine, coarse);

  const Tensor few = images_of(6, 5, 1, 22), val = images_of(6, 100, 3, 22), wide = images_of(6, 500, 2, 22);
  const Distances map(few);
  const double seen = refused(map, wide, limit_of(nearer(map(few)))),
               unseen = refused(map, wide, limit_of(nearer(map(val))));
  std::printf("\n3. refused new images, limit from training images: %.1f %%, from others: %.1f %%\n", seen,
              unseen);
  return best < 50 && trained < 50 && fine > 0 && coarse == 0 && seen > 3 * unseen ? 0 : 1;
}
