// Whose picture is this? Three tasks were learned, and an image comes without its task's name.
// The confidence of the heads says little about the task; distances to class means tell it.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "data/image/write_png.h"
#include "engine/base/error.h"
#include "engine/base/random.h"
#include "engine/ops/ops.h"

using namespace reprise;

namespace {

constexpr int tasks = 3, none = 3;  // task t has the classes 2t and 2t + 1; nobody learned 6 and 7

// Returns features (N,F) of the first classes' images, class after class. All classes spread alike: far
// along one diagonal, little along the other, a few images far out. Features after the second are noise.
Tensor images_of(int classes, int each, std::uint64_t seed, int features = 2) {
  constexpr double mean[][2] = {{-4, -2}, {0, 2}, {-1, -1}, {3, 3}, {-2, -4}, {2, 0}, {-3, 1}, {1, -3}};
  std::vector<double> x;
  for (int i = 0; i < classes * each; ++i) {
    RandomStream chance(seed, "tour/whose picture", i);
    const double *at = mean[i / each], size = std::exp(0.7 * chance.normal());
    const double along = 0.9 * size * chance.normal(), across = 0.14 * size * chance.normal();
    x.insert(x.end(), {at[0] + along - across, at[1] + along + across});
    for (int k = 2; k < features; ++k) x.push_back(0.3 * chance.normal());
  }
  return tensor({classes * each, features}, x, ref_device);
}

// Squared distances (x - mean)^T S^-1 (x - mean) to class means. S is the covariance of images around
// their class means, one for all classes, shrunken to (1 - shrinkage) S + shrinkage * sphere.
struct Distances {
  explicit Distances(const Tensor& train, double shrink = -1) {  // below 0: as OAS computes it
    const std::int64_t each = train.dim(0) / (2 * tasks), width = train.dim(1);
    std::vector<Tensor> around;
    for (int c = 0; c < 2 * tasks; ++c) {
      const Tensor x = train.rows(c * each, (c + 1) * each);
      means.push_back(ops::mean(x, 0));
      around.push_back(x - means.back());
    }
    const Tensor all = ops::concat(around, 0);
    const double n = static_cast<double>(all.dim(0) - 2 * tasks), p = static_cast<double>(width);
    inverse = ops::matmul(all, all, {.transpose_a = true}) / n;  // so far S
    const double trace = ops::sum(all * all).item() / n, squares = ops::sum(inverse * inverse).item();
    const double a = 1 - 2 / p, round = squares - trace * trace / p;
    shrinkage = shrink < 0 ? std::min(1.0, (a * squares + trace * trace) / ((n + a) * round)) : shrink;
    inverse = inverse * (1 - shrinkage);
    double* s = inverse.mutable_data<double>();
    for (std::int64_t k = 0; k < width; ++k) s[k * width + k] += shrinkage * trace / p;
    for (std::int64_t k = 0; k < width; ++k) {  // Gauss-Jordan: the inverse takes the place of S
      const double pivot = std::exchange(s[k * width + k], 1);
      for (std::int64_t j = 0; j < width; ++j) s[k * width + j] /= pivot;
      for (std::int64_t i = 0; i < width; ++i)
        if (const double factor = i == k ? 0 : std::exchange(s[i * width + k], 0); factor != 0)
          for (std::int64_t j = 0; j < width; ++j) s[i * width + j] -= factor * s[k * width + j];
    }
  }
  Tensor operator()(const Tensor& x) const {  // (N,F) -> (N, classes)
    std::vector<Tensor> d;
    for (const Tensor& mean : means)
      d.push_back(ops::reshape(ops::sum(ops::matmul(x - mean, inverse) * (x - mean), 1), {x.dim(0), 1}));
    return ops::concat(d, 1);
  }
  std::vector<Tensor> means;
  Tensor inverse;
  double shrinkage;
};

// Return a score (N, tasks) from the distances to all classes: the nearer class's distance, or the
// entropy of the task's head, which knows only its two classes. Entropy 0 is full confidence.
Tensor nearer(const Tensor& d) {
  return -ops::max(ops::reshape(-d, {d.dim(0), tasks, 2}), 2);
}
Tensor entropy(const Tensor& d) {
  const Tensor logits = ops::reshape(-0.5 * d, {d.dim(0) * tasks, 2});
  return ops::reshape(-ops::sum(ops::softmax(logits) * ops::log_softmax(logits), 1), {d.dim(0), tasks});
}

// Names the task of each row's least score, or none where that exceeds the limit.
std::vector<int> least(const Tensor& score, double limit = HUGE_VAL) {
  std::vector<int> named;
  for (const double* s = score.data<double>(); std::ssize(named) < score.dim(0); s += tasks) {
    const double* best = std::min_element(s, s + tasks);
    named.push_back(*best <= limit ? static_cast<int>(best - s) : none);
  }
  return named;
}

// Returns how many per cent got the right name: 1000 images of task `first`, then 1000 of the next.
double right(const std::vector<int>& named, int first = 0) {
  double sum = 0;
  for (std::size_t i = 0; i < named.size(); ++i) sum += named[i] == first + static_cast<int>(i / 1000);
  return 100 * sum / static_cast<double>(named.size());
}

// Returns the distance to the own task that 95 % of the images do not exceed. `near` has scores of as
// many images from each task.
double limit_of(const Tensor& near) {
  std::vector<double> own;
  for (std::int64_t i = 0, n = near.dim(0); i < n; ++i)
    own.push_back(near.data<double>()[tasks * i + tasks * i / n]);
  std::ranges::sort(own);
  return own[own.size() * 95 / 100 - 1];
}

// Draws the plane [-6,6]^2 for each list of names: places in light colours, 100 images of a task in full.
constexpr int side = 240;
void draw(const char* file, const Tensor& images, const std::vector<std::vector<int>>& planes) {
  constexpr int colour[][3] = {{0, 114, 178}, {230, 159, 0}, {213, 94, 0}, {0, 0, 0}};
  data::Image picture{side * static_cast<int>(planes.size()), side, {}};
  for (int i = 0; i < side * picture.width; ++i) {
    const int x = i % side, y = i / picture.width;
    int task = planes[i % picture.width / side][y * side + x], white = 2;
    for (int k = 0; k < images.dim(0); ++k) {
      const double* at = images.data<double>() + 2 * k;
      if (std::max(std::abs(20 * at[0] + 119.5 - x), std::abs(119.5 - 20 * at[1] - y)) < 1.6)
        task = k / 100, white = 0;
    }
    for (const int light : colour[task])
      picture.rgb.push_back(static_cast<std::uint8_t>((light + 255 * white) / (1 + white)));
  }
  data::write_png(file, picture);
}

}  // namespace

int main() try {
  std::printf("tasks named right, %%              entropy  nearest mean  covariance  shrunken by\n");
  for (const auto& [each, features] : {std::pair(50, 2), std::pair(5, 22)}) {
    const Tensor train = images_of(6, each, 1, features), test = images_of(6, 500, 2, features);
    const Distances sphere(train, 1), tied(train, 0), oas(train);
    std::printf("%2d images a class, %2d features   %7.1f  %12.1f  %10.1f  %8.1f %.3f\n", each, features,
                right(least(entropy(oas(test)))), right(least(nearer(sphere(test)))),
                right(least(nearer(tied(test)))), right(least(nearer(oas(test)))), oas.shrinkage);
  }

  const Tensor train = images_of(6, 50, 1), val = images_of(6, 100, 3), test = images_of(8, 500, 2);
  const Distances map(train), sphere(train, 1);
  const Tensor near = nearer(map(val)), unsure = entropy(map(val));
  const double *d = near.data<double>(), *e = unsure.data<double>();
  std::printf("\none image of task 0   task 0   task 1   task 2\n");
  std::printf("  entropy            %8.3f %8.3f %8.3f\n", e[24], e[25], e[26]);
  std::printf("  squared distance   %8.1f %8.1f %8.1f\n", d[24], d[25], d[26]);

  std::vector<std::int64_t> labels;  // the tasks of the 600 images in val
  for (int i = 0; i < 600; ++i) labels.push_back(i / 200);
  std::printf("\ntemperature  cross-entropy  mean largest p(task)\n");
  for (const double temperature : {0.5, 1.0, 2.0, 4.0}) {
    const Tensor logits = near * (-0.5 / temperature);
    const Tensor loss = ops::cross_entropy(logits, tensor({600}, labels, ref_device));
    std::printf("%11.1f  %13.3f  %20.1f %%\n", temperature, loss.item(),
                100 * ops::mean(ops::max(ops::softmax(logits), 1)).item());
  }

  const double limit = limit_of(near), known = right(least(nearer(map(test.rows(0, 3000))), limit)),
               strange = right(least(nearer(map(test.rows(3000, 4000))), limit), none);
  std::printf("\nwith a limit of %.1f: right %.1f %%, of a task that nobody learned %.1f %%\n", limit, known,
              strange);

  std::vector<double> plane;
  for (int i = 0; i < side * side; ++i)
    plane.insert(plane.end(), {(i % side - 119.5) / 20, (119.5 - i / side) / 20});
  const Tensor places = tensor({side * side, 2}, plane, ref_device);
  draw("whose_picture.png", images_of(8, 50, 1),
       {least(entropy(map(places))), least(nearer(sphere(places))), least(nearer(map(places)), limit)});
  std::printf("drawn: whose_picture.png\n");
  return known > 90 && strange > 90 ? 0 : 1;
} catch (const Error& error) {  // for example a picture that cannot be written
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
