// Mahalanobis distances from an image's features to the means of classes, computed from exact sums.
// The covariance is the within-class one, shared by all classes and shrunken by OAS (Chen, Wiesel,
// Eldar, Hero, "Shrinkage Algorithms for MMSE Covariance Estimation", 2010).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/core/tensor.h"

namespace reprise::clr {

// Features are rounded once, to multiples of this unit. From then on all sums are whole numbers, so
// no order of images, tasks or threads can change them.
inline constexpr double feature_unit = 1.0 / (1 << 20);
inline constexpr std::int64_t most_images = (1 << 23) - 1;  // of a map: a sum of products fits 63 bits

// Features of images, in feature_unit; each in [-2^20, 2^20].
struct FeatureRows {
  std::int64_t width = 0;            // features of an image
  std::vector<std::int32_t> values;  // (images, width)
  std::int64_t count() const { return width > 0 ? std::ssize(values) / width : 0; }
  std::span<const std::int32_t> row(std::int64_t i) const {
    return std::span(values).subspan(static_cast<std::size_t>(i * width), static_cast<std::size_t>(width));
  }
  void append(const FeatureRows& more);
};

// Scales each row of (N,F) to length 1 and rounds it; a row of zeros stays. Throws Error, with the
// row's index, where a feature is not finite.
FeatureRows unit_rows(const Tensor& features);
// Computes six features of each u8 image (N,H,W,3): mean and standard deviation of its red, green
// and blue, in [0,1].
FeatureRows colour_rows(const Tensor& images);

// The sum over a class's images.
struct ClassSum {
  std::int64_t count = 0;
  std::vector<std::int64_t> sum;  // (width)
  bool operator==(const ClassSum&) const = default;
};

// What a map keeps of the images of all tasks, in one space of features.
struct FeatureSums {
  std::int64_t width = 0;
  std::vector<std::int64_t> scatter;         // upper triangle, row by row, summed over all classes
  std::vector<std::vector<ClassSum>> tasks;  // by task, then by label
  // Adds a task at a place among the tasks. `labels` are in 0..classes-1, one a row; every class has
  // a row. Throws Error where all tasks together have more than most_images.
  void insert(std::size_t place, const FeatureRows& rows, std::span<const std::int64_t> labels,
              std::size_t classes);
  // Subtracts a task. Throws Error, and changes nothing, where the rows are not those it was made of.
  void remove(std::size_t place, const FeatureRows& rows, std::span<const std::int64_t> labels);
};

class ClassDistances {
 public:
  // Throws Error where there are no more images than classes, or no class's images differ.
  explicit ClassDistances(const FeatureSums& sums);
  // Returns, for each task, the squared distance of a row to the task's nearest class mean.
  std::vector<double> to_tasks(std::span<const std::int32_t> row) const;
  double shrinkage() const { return shrinkage_; }  // OAS: 0 keeps the covariance, 1 makes it a sphere

 private:
  std::vector<double> whitened(std::vector<double> x) const;
  std::int64_t width_;
  double shrinkage_ = 0;
  std::vector<double> factor_;                           // U of the covariance U^T U, row by row
  std::vector<std::vector<std::vector<double>>> means_;  // whitened, by task, then by label
};

}  // namespace reprise::clr
