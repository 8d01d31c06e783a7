// Distances to classes and what a task map makes of them, without files and commands.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "apps/clr/learn/class_distances.h"
#include "apps/clr/learn/task_map.h"
#include "data/weights/weight_file.h"
#include "engine/base/error.h"
#include "engine/base/random.h"
#include "tests/apps/support.h"

namespace reprise::test {
namespace {

using clr::ClassDistances;
using clr::FeatureRows;
using clr::FeatureSums;

// Random rows around a centre that depends on the label.
FeatureRows random_rows(std::int64_t count, std::int64_t width, std::int64_t classes, std::uint64_t seed,
                        std::vector<std::int64_t>& labels) {
  RandomStream stream(seed, "rows");
  FeatureRows rows{width, {}};
  labels.clear();
  for (std::int64_t i = 0; i < count; ++i) {
    labels.push_back(i % classes);
    for (std::int64_t k = 0; k < width; ++k)
      rows.values.push_back(static_cast<std::int32_t>(stream.below(400'000)) -
                            static_cast<std::int32_t>(100'000 * ((i % classes + k) % 3)));
  }
  return rows;
}

FeatureRows in_order(const FeatureRows& rows, const std::vector<std::int64_t>& order) {
  FeatureRows other{rows.width, {}};
  for (const std::int64_t i : order)
    other.values.insert(other.values.end(), rows.row(i).begin(), rows.row(i).end());
  return other;
}

TEST(ClassDistances, agree_with_the_formulas_in_two_dimensions) {
  std::vector<std::int64_t> labels;
  const FeatureRows rows = random_rows(40, 2, 2, 3, labels);
  FeatureSums sums;
  sums.insert(0, rows, labels, 2);
  // The within-class covariance, by its definition.
  double mean[2][2]{}, s[2][2]{};
  const auto x = [&](std::int64_t i, int k) {
    return rows.row(i)[static_cast<std::size_t>(k)] * clr::feature_unit;
  };
  for (std::int64_t i = 0; i < 40; ++i)
    for (int k = 0; k < 2; ++k) mean[i % 2][k] += x(i, k) / 20;
  for (std::int64_t i = 0; i < 40; ++i)
    for (int a = 0; a < 2; ++a)
      for (int b = 0; b < 2; ++b) s[a][b] += (x(i, a) - mean[i % 2][a]) * (x(i, b) - mean[i % 2][b]) / 38;
  const double n = 38, p = 2, trace = s[0][0] + s[1][1],
               squares = s[0][0] * s[0][0] + 2 * s[0][1] * s[0][1] + s[1][1] * s[1][1];
  const double rho = std::min(
      1.0, ((1 - 2 / p) * squares + trace * trace) / ((n + 1 - 2 / p) * (squares - trace * trace / p)));
  for (int a = 0; a < 2; ++a)
    for (int b = 0; b < 2; ++b) s[a][b] = (1 - rho) * s[a][b] + (a == b ? rho * trace / p : 0);
  const ClassDistances distances(sums);
  EXPECT_NEAR(distances.shrinkage(), rho, 1e-6);
  const double det = s[0][0] * s[1][1] - s[0][1] * s[0][1];
  for (std::int64_t i = 0; i < 40; ++i) {
    double least = HUGE_VAL;
    for (int c = 0; c < 2; ++c) {
      const double u = x(i, 0) - mean[c][0], v = x(i, 1) - mean[c][1];
      least = std::min(least, (s[1][1] * u * u - 2 * s[0][1] * u * v + s[0][0] * v * v) / det);
    }
    EXPECT_NEAR(distances.to_tasks(rows.row(i))[0], least, 1e-5 * (1 + least));
  }
}

TEST(ClassDistances, shrink_by_oas) {
  std::vector<std::int64_t> labels;
  FeatureRows rows = random_rows(60, 3, 1, 5, labels);
  for (std::size_t i = 0; i < rows.values.size(); i += 3)  // features that vary together
    rows.values[i + 1] = rows.values[i] + rows.values[i + 1] / 4;
  FeatureSums sums;
  sums.insert(0, rows, labels, 1);
  double mean[3]{}, s[3][3]{}, trace = 0, squares = 0;
  const auto x = [&](std::int64_t i, int k) {
    return rows.row(i)[static_cast<std::size_t>(k)] * clr::feature_unit;
  };
  for (std::int64_t i = 0; i < 60; ++i)
    for (int k = 0; k < 3; ++k) mean[k] += x(i, k) / 60;
  for (int a = 0; a < 3; ++a)
    for (int b = 0; b < 3; ++b) {
      for (std::int64_t i = 0; i < 60; ++i) s[a][b] += (x(i, a) - mean[a]) * (x(i, b) - mean[b]) / 59;
      trace += a == b ? s[a][b] : 0;
      squares += s[a][b] * s[a][b];
    }
  const double n = 59, p = 3;
  EXPECT_NEAR(ClassDistances(sums).shrinkage(),
              ((1 - 2 / p) * squares + trace * trace) / ((n + 1 - 2 / p) * (squares - trace * trace / p)),
              1e-7);
}

TEST(FeatureSums, are_the_same_in_any_order_and_after_a_task_has_come_and_gone) {
  std::vector<std::int64_t> one, two;
  const FeatureRows first = random_rows(60, 9, 3, 1, one), second = random_rows(50, 9, 2, 2, two);
  FeatureSums sums;
  sums.insert(0, first, one, 3);
  const FeatureSums alone = sums;
  sums.insert(1, second, two, 2);
  std::vector<std::int64_t> order(60), labels;
  std::iota(order.rbegin(), order.rend(), 0);
  std::swap(order[3], order[17]);
  for (const std::int64_t i : order) labels.push_back(one[static_cast<std::size_t>(i)]);
  FeatureSums other;
  other.insert(0, second, two, 2);
  other.insert(0, in_order(first, order), labels, 3);
  EXPECT_EQ(sums.scatter, other.scatter);
  EXPECT_EQ(sums.tasks, other.tasks);
  other.remove(1, second, two);
  EXPECT_EQ(other.scatter, alone.scatter);
  EXPECT_EQ(other.tasks, alone.tasks);
  FeatureRows changed = first;
  ++changed.values[5];
  EXPECT_THROW(other.remove(0, changed, one), Error);
  EXPECT_EQ(other.scatter, alone.scatter);
}

TEST(FeatureSums, round_each_scatter_once) {
  // Two images (0, 1) and (1, 1): scatter of the first feature 1 - 1/2, rounded away from zero.
  const FeatureRows rows{2, {0, 1, 1, 1}};
  FeatureSums sums;
  sums.insert(0, rows, std::vector<std::int64_t>{0, 0}, 1);
  EXPECT_EQ(sums.scatter, (std::vector<std::int64_t>{1 - 1, 0, 0}));
  // (-3, 2), (4, 2), (1, -1): sums 2 and 3; 26 - 4/3, -6 + 8 - 1 - 2, 9 - 3.
  FeatureSums three;
  three.insert(0, {2, {-3, 2, 4, 2, 1, -1}}, std::vector<std::int64_t>{0, 0, 0}, 1);
  EXPECT_EQ(three.scatter, (std::vector<std::int64_t>{25, -1, 6}));
}

TEST(ClassDistances, refuse_sums_without_a_spread) {
  FeatureSums same;
  same.insert(0, {2, {5, 7, 5, 7}}, std::vector<std::int64_t>{0, 0}, 1);
  EXPECT_THROW(ClassDistances{same}, Error);
  FeatureSums single;
  single.insert(0, {2, {5, 7, 1, 2}}, std::vector<std::int64_t>{0, 1}, 2);
  EXPECT_THROW(ClassDistances{single}, Error);
  // In units of 2^40: scatters of -1/2 and 3/2 shrink by one half to a variance of exactly 0.
  const FeatureSums damaged{2, {-(std::int64_t{1} << 39), 0, std::int64_t{3} << 39}, {{{2, {0, 0}}}}};
  EXPECT_SAYS(error_of([&] { ClassDistances{damaged}; }), "the covariance is not positive at feature 0");
}

TEST(FeatureSums, hold_2_23_minus_1_images_and_every_class_has_one) {
  const auto said = [](std::int64_t images, std::int64_t label, std::size_t classes) -> std::string {
    FeatureSums sums{1, {0}, {{{images, {0}}}}};
    try {
      sums.insert(1, {1, {3, 4}}, std::vector<std::int64_t>{0, label}, classes);
    } catch (const std::exception& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(said(8388607 - 2, 0, 1), "");
  EXPECT_SAYS(said(8388607 - 1, 0, 1), "task map: 8388608 images; it can hold 8388607");
  EXPECT_EQ(said(1, 1, 2), "");
  EXPECT_SAYS(said(1, 0, 2), "class 1 has no image");
}

TEST(FeatureRows, have_length_one_and_name_what_is_not_finite) {
  const FeatureRows rows = clr::unit_rows(tensor({2, 2}, {3, 4, 0, 0}));
  EXPECT_EQ(rows.values, (std::vector<std::int32_t>{629146, 838861, 0, 0}));
  EXPECT_THROW(clr::unit_rows(tensor({1, 2}, {1, HUGE_VALF})), Error);
  EXPECT_EQ(rows.count(), 2);
  EXPECT_EQ(FeatureRows{}.count(), 0) << "no images, no features";
  const Tensor images = tensor<std::uint8_t>({1, 1, 2, 3}, {0, 255, 10, 255, 255, 10});
  EXPECT_EQ(clr::colour_rows(images).values,
            (std::vector<std::int32_t>{1 << 19, 1 << 19, 1 << 20, 0, 41121, 0}));
}

TEST(Halves, do_not_depend_on_the_order_of_images) {
  std::vector<std::int64_t> labels;
  const FeatureRows rows = random_rows(41, 5, 2, 7, labels);
  std::vector<std::int64_t> order(41);
  std::iota(order.rbegin(), order.rend(), 0);
  const clr::Halves halves = clr::halves_of(rows, true), turned = clr::halves_of(in_order(rows, order), true);
  EXPECT_EQ(halves.calibrating.size(), 21U);
  EXPECT_EQ(halves.reported.size(), 20U);
  EXPECT_EQ(in_order(rows, halves.calibrating).values,
            in_order(in_order(rows, order), turned.calibrating).values);
  EXPECT_EQ(clr::halves_of(random_rows(600, 2, 2, 8, labels), false).calibrating.size(), 256U);
}

// A map of three tasks in five random features, with twenty calibrating images each.
clr::TaskMap small_map() {
  clr::TaskMap map;
  for (std::uint64_t t = 0; t < 3; ++t) {
    clr::TaskFile file;
    file.task = std::string(1, static_cast<char>('c' - t));  // added in the other order
    file.classes = {"x", "y"};
    clr::MappedImages train, val;
    train.features = random_rows(60, 5, 2, 10 + t, train.labels);
    train.colours = random_rows(60, 6, 2, 20 + t, train.labels);
    val.features = random_rows(20, 5, 2, 30 + t, val.labels);
    for (FeatureRows* rows : {&train.features, &val.features})
      for (std::size_t i = 0; i < rows->values.size(); i += 5)
        rows->values[i] += 150'000 * static_cast<std::int32_t>(t);
    clr::add_task(map, file, train, val, false);
  }
  clr::calibrate(map);
  return map;
}

TEST(TaskMap, a_task_without_validation_images_is_refused) {
  clr::TaskMap map = small_map();
  clr::TaskFile file;
  file.task = "d";
  EXPECT_SAYS(error_of([&] { clr::add_task(map, file, {}, {}, false); }), "task d: 0 validation images");
}

// Whichever file cannot be written, a map never names a task whose calibrating features are missing.
TEST(TaskMap, the_map_is_written_after_what_calibrates_it_unless_a_task_was_removed) {
  for (const bool fewer : {false, true}) {
    const TempDir dir;
    const clr::RunFolder folder(dir.path());
    std::filesystem::create_directories(clr::calibration_path(clr::map_path(folder)) + "/in the way");
    const auto write = [&] {
      if (fewer)
        clr::write_task_map(folder, small_map(), true);
      else
        clr::write_task_map(folder, small_map());
    };
    EXPECT_THROW(write(), Error);
    EXPECT_EQ(exists(clr::map_path(folder)), fewer);
  }
}

// The ends of what a map's files may hold, and just beyond them.
TEST(TaskMap, what_is_damaged_is_named) {
  const TempDir dir;
  const clr::RunFolder folder(dir.path());
  const std::string path = clr::map_path(folder), beside = clr::calibration_path(path);
  clr::TaskMap map = small_map();
  map.tasks[0].calibrating.values[0] = 1 << 20;
  clr::write_task_map(folder, map);
  EXPECT_EQ(clr::read_task_map(path, true).tasks[0].calibrating.values, map.tasks[0].calibrating.values);
  const data::WeightFile whole = data::read_weights(path), features = data::read_weights(beside);
  const auto said = [&](const std::string& name, auto value) {
    data::WeightFile file = whole;
    for (data::NamedTensor& t : file.tensors)
      if (t.name == name) (t.tensor = t.tensor.clone()).template mutable_data<decltype(value)>()[0] = value;
    data::write_safetensors(path, file.tensors, file.metadata);
    return error_of([&] { clr::read_task_map(path); });
  };
  for (const std::int64_t count : {1, 8388607}) EXPECT_EQ(said("0000.counts", count), "") << count;
  for (const std::int64_t count : {0, 8388608})
    EXPECT_SAYS(said("0000.counts", count), "damaged: a class without images");
  for (const char* temperature : {"0", "-1", "nan"}) {
    auto metadata = whole.metadata;
    metadata["temperature"] = temperature;
    data::write_safetensors(path, whole.tensors, metadata);
    EXPECT_SAYS(error_of([&] { clr::read_task_map(path); }), "damaged: its tasks or temperature");
  }
  data::write_safetensors(path, whole.tensors, whole.metadata);
  auto beyond = features.tensors;
  for (data::NamedTensor& t : beyond) {
    Tensor values = t.tensor.to(DType::f32).clone();
    values.mutable_data<float>()[0] = -1.0078125F;
    t.tensor = values.to(DType::bf16);
  }
  data::write_safetensors(beside, beyond, features.metadata);
  EXPECT_SAYS(error_of([&] { clr::read_task_map(path, true); }), "damaged: 0000.features");
}

// Numbers of 8 bytes: counts, sums and distances of a task; the triangles of scatters of all tasks.
TEST(TaskMap, costs_what_its_numbers_take) {
  const clr::TaskMap map = small_map();
  EXPECT_EQ(clr::bytes_of_task(map, 0), 8 * (2 * (1 + 5 + 6) + 20));
  EXPECT_EQ(clr::bytes_of_run(map), 8 * (5 * 6 / 2 + 6 * 7 / 2));
}

TEST(TaskMap, calibrating_counts_the_images_that_are_nearest_to_their_own_task) {
  clr::TaskMap map = small_map();
  const std::vector<double> nearest = clr::calibrate(map);
  const ClassDistances distances(map.features);
  ASSERT_EQ(nearest.size(), 3u);
  for (std::size_t t = 0; t < 3; ++t) {
    double right = 0;
    for (std::int64_t i = 0; i < 20; ++i) {
      const std::vector<double> to = distances.to_tasks(map.tasks[t].calibrating.row(i));
      right += std::ranges::min_element(to) == to.begin() + static_cast<std::ptrdiff_t>(t);
    }
    EXPECT_EQ(nearest[t], right / 20) << t;
  }
}

TEST(TaskMap, its_file_holds_every_tensor_once) {
  const TempDir dir;
  const clr::RunFolder folder(dir.path());
  clr::write_task_map(folder, small_map());
  std::vector<std::string> names, wanted{"colours.scatter", "features.scatter"};
  for (const auto& t : data::read_weights(clr::map_path(folder)).tensors) names.push_back(t.name);
  for (const char* task : {"0000.", "0001.", "0002."})
    for (const char* what : {"colours", "counts", "distances", "features"})
      wanted.push_back(std::string(task) + what);
  std::ranges::sort(names);
  std::ranges::sort(wanted);
  EXPECT_EQ(names, wanted);
}

TEST(TaskMap, fits_only_what_it_was_made_with) {
  const TempDir dir;
  const clr::RunFolder folder(dir.path());
  const clr::Backbone backbone =
      clr::load_backbone(write_tiny_backbone(dir / "b"), "auto", cpu_device, DType::f32);
  const clr::TaskMap map = clr::empty_map(backbone, 8);
  const auto said = [&](const clr::TaskMap& m, int size) {
    return error_of([&] { clr::check_fits(m, folder, backbone, size); });
  };
  EXPECT_EQ(said(map, 8), "");
  EXPECT_SAYS(said(map, 9), "another backbone or size");
  clr::TaskMap other = map;
  other.identity += "0";
  EXPECT_SAYS(said(other, 8), "another backbone or size");
  other = map;
  other.conditions["dtype"] = "bf16";
  EXPECT_SAYS(said(other, 8), "\n  dtype            map bf16, here f32");
  other.conditions.erase("dtype");
  EXPECT_SAYS(said(other, 8), "\n  dtype            map unknown, here f32");
}

TEST(TaskRanking, has_probabilities_of_the_temperature_that_fits_the_calibrating_images_best) {
  clr::TaskMap map = small_map();
  EXPECT_EQ(map.tasks[0].name, "a");
  const ClassDistances distances(map.features);
  const auto row = map.tasks[1].calibrating.row(3);
  const auto d = distances.to_tasks(row);
  const auto ranked = clr::TaskRanking(map).rank(row);
  double sum = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(ranked[i].distance, d[ranked[i].task]);
    if (i > 0) {
      EXPECT_LE(ranked[i - 1].distance, ranked[i].distance);
      EXPECT_NEAR(ranked[i].probability / ranked[0].probability,
                  std::exp((ranked[0].distance - ranked[i].distance) / (2 * map.temperature)), 1e-12);
    }
    sum += ranked[i].probability;
  }
  EXPECT_NEAR(sum, 1, 1e-12);
  clr::TaskMap cold = map;
  cold.temperature = 1e-9;  // without the nearest one's distance every exponential is 0
  EXPECT_EQ(clr::TaskRanking(cold).rank(row)[0].probability, 1);
  const auto cross_entropy = [&](double temperature) {
    map.temperature = temperature;
    const clr::TaskRanking ranking(map);
    double total = 0;
    for (std::size_t t = 0; t < 3; ++t)
      for (std::int64_t i = 0; i < map.tasks[t].calibrating.count(); ++i)
        for (const clr::RankedTask& task : ranking.rank(map.tasks[t].calibrating.row(i)))
          if (task.task == t) total -= std::log(task.probability);
    return total;
  };
  const double best = map.temperature, step = std::exp2(1.0 / 16);
  EXPECT_LT(cross_entropy(best / step), cross_entropy(best / step / step));
  EXPECT_LT(cross_entropy(best * step), cross_entropy(best * step * step));
  EXPECT_LT(std::abs(std::log(best)), 5);
}

TEST(TaskRanking, limits_are_quantiles_of_a_tasks_own_distances) {
  clr::TaskMap map = small_map();
  const ClassDistances distances(map.features);
  std::vector<double> own;
  for (std::int64_t i = 0; i < 20; ++i) own.push_back(distances.to_tasks(map.tasks[2].calibrating.row(i))[2]);
  std::ranges::sort(own);
  EXPECT_EQ(map.tasks[2].distances, own);
  const clr::TaskRanking ranking(map);
  EXPECT_EQ(ranking.limit(2, 0.95), own[18]);
  EXPECT_EQ(ranking.limit(2, 0.951), own[19]);
  EXPECT_EQ(ranking.limit(2, 1e-9), own[0]);
  EXPECT_EQ(ranking.limit(2, 1), HUGE_VAL);
}

}  // namespace
}  // namespace reprise::test
