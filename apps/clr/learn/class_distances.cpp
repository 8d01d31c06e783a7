#include "apps/clr/learn/class_distances.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/base/check.h"
#include "engine/base/parallel.h"

namespace reprise::clr {
namespace {

// Returns the place of row i, column i, of an upper triangle that is stored row by row.
std::int64_t diagonal(std::int64_t i, std::int64_t width) {
  return i * width - i * (i - 1) / 2;
}

// Adds `sign` times each class's scatter: sum(x x^T) - s s^T / n, each element rounded once. With
// s = n a + r the quotient is n a a' + a r' + r a' + r r' / n, which stays below 2^63.
void add_scatter(std::vector<std::int64_t>& scatter, const FeatureRows& rows,
                 std::span<const std::int64_t> labels, const std::vector<ClassSum>& classes, int sign) {
  const std::int64_t width = rows.width;
  std::vector<std::vector<std::int64_t>> members(classes.size());
  for (std::int64_t i = 0; i < rows.count(); ++i)
    members[static_cast<std::size_t>(labels[static_cast<std::size_t>(i)])].push_back(i);
  parallel_for(width, 8, [&](std::int64_t begin, std::int64_t end) {
    std::vector<std::int64_t> products(static_cast<std::size_t>(width));
    for (std::int64_t i = begin; i < end; ++i)
      for (std::size_t c = 0; c < classes.size(); ++c) {
        std::fill(products.begin(), products.end(), 0);
        for (const std::int64_t image : members[c]) {
          const std::int32_t* x = rows.values.data() + image * width;
          const std::int64_t left = x[i];
          if (left == 0) continue;
          for (std::int64_t j = i; j < width; ++j) products[static_cast<std::size_t>(j)] += left * x[j];
        }
        const std::int64_t n = classes[c].count;
        const std::int64_t* s = classes[c].sum.data();
        const std::int64_t a = s[i] / n, r = s[i] % n;
        std::int64_t* out = scatter.data() + diagonal(i, width) - i;
        for (std::int64_t j = i; j < width; ++j) {
          const std::int64_t a2 = s[j] / n, r2 = s[j] % n, rest = r * r2;
          const std::int64_t rounded = (2 * std::abs(rest) + n) / (2 * n) * (rest < 0 ? -1 : 1);
          out[j] += sign * (products[static_cast<std::size_t>(j)] - (n * a * a2 + a * r2 + r * a2 + rounded));
        }
      }
  });
}

std::vector<ClassSum> class_sums(const FeatureRows& rows, std::span<const std::int64_t> labels,
                                 std::size_t classes) {
  REPRISE_INVARIANT(std::ssize(labels) == rows.count(), "{} labels of {} rows", labels.size(), rows.count());
  std::vector<ClassSum> sums(classes, {0, std::vector<std::int64_t>(static_cast<std::size_t>(rows.width))});
  for (std::int64_t i = 0; i < rows.count(); ++i) {
    ClassSum& of = sums[static_cast<std::size_t>(labels[static_cast<std::size_t>(i)])];
    ++of.count;
    std::transform(of.sum.begin(), of.sum.end(), rows.row(i).begin(), of.sum.begin(), std::plus<>());
  }
  return sums;
}

// Factors the symmetric matrix (upper triangle of a, row by row with `n` columns) into U^T U, in place.
void cholesky(std::vector<double>& a, std::int64_t n) {
  for (std::int64_t k = 0; k < n; ++k) {
    double* pivot = a.data() + k * n;
    REPRISE_CHECK(pivot[k] > 0, "task map: the covariance is not positive at feature {}", k);
    const double root = std::sqrt(pivot[k]);
    for (std::int64_t j = k; j < n; ++j) pivot[j] /= root;
    parallel_for(n - k - 1, 32, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = k + 1 + begin; i < k + 1 + end; ++i)
        for (std::int64_t j = i; j < n; ++j) a[static_cast<std::size_t>(i * n + j)] -= pivot[i] * pivot[j];
    });
  }
}

}  // namespace

void FeatureRows::append(const FeatureRows& more) {
  REPRISE_INVARIANT(width == 0 || width == more.width, "{} and {} features", width, more.width);
  width = more.width;
  values.insert(values.end(), more.values.begin(), more.values.end());
}

FeatureRows unit_rows(const Tensor& features) {
  const Tensor f = features.to(cpu_device).to(DType::f64);
  const std::span<const double> all = f.values<double>();
  FeatureRows rows{f.dim(1), {}};
  rows.values.reserve(all.size());
  for (std::int64_t i = 0; i < f.dim(0); ++i) {
    const auto row =
        all.subspan(static_cast<std::size_t>(i * rows.width), static_cast<std::size_t>(rows.width));
    const double length = std::sqrt(std::inner_product(row.begin(), row.end(), row.begin(), 0.0));
    REPRISE_CHECK(std::isfinite(length), "image {}: the backbone's features are not finite", i);
    for (const double x : row)
      rows.values.push_back(length > 0 ? static_cast<std::int32_t>(std::nearbyint(x / length / feature_unit))
                                       : 0);
  }
  return rows;
}

FeatureRows colour_rows(const Tensor& images) {
  FeatureRows rows{6, {}};
  const std::int64_t pixels = images.dim(1) * images.dim(2);
  const std::uint8_t* x = images.data<std::uint8_t>();
  for (std::int64_t i = 0; i < images.dim(0); ++i, x += pixels * 3)
    for (int channel = 0; channel < 3; ++channel) {
      std::int64_t sum = 0, squares = 0;
      for (std::int64_t p = 0; p < pixels; ++p) {
        const std::int64_t v = x[3 * p + channel];
        sum += v, squares += v * v;
      }
      const double n = static_cast<double>(pixels), mean = static_cast<double>(sum) / n;
      const double variance = std::max(0.0, static_cast<double>(squares) / n - mean * mean);
      for (const double value : {mean, std::sqrt(variance)})
        rows.values.push_back(static_cast<std::int32_t>(std::nearbyint(value / 255 / feature_unit)));
    }
  return rows;
}

void FeatureSums::insert(std::size_t place, const FeatureRows& rows, std::span<const std::int64_t> labels,
                         std::size_t classes) {
  const auto count = [](const std::vector<ClassSum>& sums) {
    return std::accumulate(sums.begin(), sums.end(), std::int64_t{0},
                           [](std::int64_t n, const ClassSum& c) { return n + c.count; });
  };
  if (width == 0) {
    width = rows.width;
    scatter.assign(static_cast<std::size_t>(width * (width + 1) / 2), 0);
  }
  std::int64_t images = rows.count();
  for (const auto& task : tasks) images += count(task);
  REPRISE_CHECK(images <= most_images, "task map: {} images; it can hold {}", images, most_images);
  std::vector<ClassSum> sums = class_sums(rows, labels, classes);
  for (std::size_t c = 0; c < classes; ++c) REPRISE_INVARIANT(sums[c].count > 0, "class {} has no image", c);
  add_scatter(scatter, rows, labels, sums, 1);
  tasks.insert(tasks.begin() + static_cast<std::ptrdiff_t>(place), std::move(sums));
}

void FeatureSums::remove(std::size_t place, const FeatureRows& rows, std::span<const std::int64_t> labels) {
  const std::vector<ClassSum>& sums = tasks[place];
  REPRISE_CHECK(rows.width == width && class_sums(rows, labels, sums.size()) == sums,
                "these are not the training images that the map was made of");
  add_scatter(scatter, rows, labels, sums, -1);
  tasks.erase(tasks.begin() + static_cast<std::ptrdiff_t>(place));
}

ClassDistances::ClassDistances(const FeatureSums& sums) : width_(sums.width) {
  std::int64_t freedom = 0;  // images - classes
  for (const auto& task : sums.tasks)
    for (const ClassSum& c : task) freedom += c.count - 1;
  REPRISE_CHECK(freedom > 0, "task map: it needs a class with more than one training image");
  const double n = static_cast<double>(freedom), p = static_cast<double>(width_);
  factor_.assign(static_cast<std::size_t>(width_ * width_), 0);
  double trace = 0, squares = 0;  // of the covariance S: tr(S), tr(S S)
  for (std::int64_t i = 0; i < width_; ++i)
    for (std::int64_t j = i; j < width_; ++j) {
      const auto sum =
          static_cast<double>(sums.scatter[static_cast<std::size_t>(diagonal(i, width_) + j - i)]);
      const double s = sum * feature_unit * feature_unit / n;
      factor_[static_cast<std::size_t>(i * width_ + j)] = s;
      if (i == j) trace += s;
      squares += (i == j ? 1 : 2) * s * s;
    }
  REPRISE_CHECK(trace > 0,
                "task map: all images of a class have the same features, so no distance is defined");
  const double unlike = (n + 1 - 2 / p) * (squares - trace * trace / p);
  shrinkage_ = unlike > 0 ? std::min(1.0, ((1 - 2 / p) * squares + trace * trace) / unlike) : 1;
  for (std::int64_t i = 0; i < width_; ++i)
    for (std::int64_t j = i; j < width_; ++j) {
      double& s = factor_[static_cast<std::size_t>(i * width_ + j)];
      s = (1 - shrinkage_) * s + (i == j ? shrinkage_ * trace / p : 0);
    }
  cholesky(factor_, width_);
  for (const auto& task : sums.tasks) {
    means_.emplace_back();
    for (const ClassSum& c : task) {
      std::vector<double> mean(c.sum.begin(), c.sum.end());
      for (double& m : mean) m *= feature_unit / static_cast<double>(c.count);
      means_.back().push_back(whitened(std::move(mean)));
    }
  }
}

// Solves U^T z = x by forward substitution.
std::vector<double> ClassDistances::whitened(std::vector<double> x) const {
  for (std::int64_t k = 0; k < width_; ++k) {
    const double* row = factor_.data() + k * width_;
    const double z = x[static_cast<std::size_t>(k)] /= row[k];
    for (std::int64_t j = k + 1; j < width_; ++j) x[static_cast<std::size_t>(j)] -= z * row[j];
  }
  return x;
}

std::vector<double> ClassDistances::to_tasks(std::span<const std::int32_t> row) const {
  REPRISE_INVARIANT(std::ssize(row) == width_, "a row of {} features, a map of {}", row.size(), width_);
  std::vector<double> x(row.begin(), row.end());
  for (double& v : x) v *= feature_unit;
  x = whitened(std::move(x));
  std::vector<double> nearest;
  for (const auto& task : means_) {
    double least = HUGE_VAL;
    for (const std::vector<double>& mean : task) {
      double d = 0;
      for (std::size_t k = 0; k < x.size(); ++k) d += (x[k] - mean[k]) * (x[k] - mean[k]);
      least = std::min(least, d);
    }
    nearest.push_back(least);
  }
  return nearest;
}

}  // namespace reprise::clr
