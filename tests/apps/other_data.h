// A run of two tasks whose heads answer with an image's colour: every accuracy is counted by hand.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/clr/learn/run_network.h"
#include "apps/clr/learn/task_file.h"
#include "data/loader/image_store.h"
#include "data/sets/find_tasks.h"
#include "tests/apps/figures.h"
#include "tests/apps/support.h"

namespace reprise::test {

namespace fs = std::filesystem;
using nlohmann::json;
using words = std::vector<std::string>;

inline const words colours = {"blue", "green", "red"};

// So many images of a colour, in a class's folder of a split.
struct Images {
  std::string folder, colour;
  int count;
};

inline std::uint8_t pixel(const std::string& colour, int shade, int variant, int channel) {
  const bool bright = colours[static_cast<std::size_t>(2 - channel)] == colour;
  return static_cast<std::uint8_t>(shade + (bright ? 120 : 0) + variant);
}

inline void write_images(const std::string& task, int shade, const std::vector<Images>& all) {
  for (const Images& images : all) {
    fs::create_directories(task + "/" + images.folder);
    for (int i = 0; i < images.count; ++i) {
      std::string bytes = "P6\n8 8\n255\n";
      for (int p = 0; p < 8 * 8 * 3; ++p)
        bytes += static_cast<char>(pixel(images.colour, shade, i % 8, p % 3));
      std::string name = images.colour;
      name += std::to_string(i) + ".ppm";
      write_text(task + "/" + images.folder + "/" + name, bytes);
    }
  }
}

// The parameter: whether the task files hold their classes in the reverse order.
class OtherData : public testing::TestWithParam<bool> {
 protected:
  static void SetUpTestSuite() {
    dir = new TempDir;
    write_tiny_backbone(*dir / "backbone.safetensors");
    // In test 5 of 8 images have the colour of their folder; in stones' val 20 of 32.
    write_images(*dir / "data/colours", 20,
                 {{"train/blue", "blue", 4},
                  {"train/green", "green", 4},
                  {"train/red", "red", 4},
                  {"val/blue", "blue", 16},
                  {"val/green", "green", 8},
                  {"val/red", "blue", 8},
                  {"test/blue", "blue", 2},
                  {"test/blue", "red", 1},
                  {"test/green", "green", 1},
                  {"test/red", "red", 2},
                  {"test/red", "green", 2}});
    write_images(*dir / "data/stones", 100,
                 {{"train/green", "green", 4},
                  {"train/red", "red", 4},
                  {"val/green", "green", 16},
                  {"val/red", "red", 4},
                  {"val/red", "green", 12}});
    // One of the stones has the shade of the colours, and is taken for one.
    write_images(*dir / "data/stones", 20, {{"train/green", "green", 1}});
    const Outcome o = clr({"train", "--backbone", *dir / "backbone.safetensors", "--data", *dir / "data",
                           "--run", *dir / "run0", "--device", "cpu", "--size", "8", "--epochs", "0",
                           "--method", "linear", "--quiet"});
    ASSERT_EQ(o.status, 0) << o.err;
    fs::copy(*dir / "run0", *dir / "run1", fs::copy_options::recursive);
    for (const bool reversed : {false, true})
      for (const auto& [task, shade] : {std::pair("colours", 20), {"stones", 100}})
        teach(*dir / (reversed ? "run1" : "run0") + "/tasks/" + task + ".safetensors", shade, reversed);
  }
  static void TearDownTestSuite() {
    delete dir;
    dir = nullptr;
  }
  // Gives the task a head that answers with the nearest of its classes' colours, and accuracies that
  // it is said to have learned.
  static void teach(const std::string& path, int shade, bool reversed) {
    clr::TaskFile file = clr::read_task_file(path);
    if (reversed) std::reverse(file.classes.begin(), file.classes.end());
    const std::int64_t n = std::ssize(file.classes);
    Tensor images = empty({n, 8, 8, 3}, DType::u8);
    for (std::int64_t i = 0; i < images.numel(); ++i)
      images.mutable_data<std::uint8_t>()[i] =
          pixel(file.classes[static_cast<std::size_t>(i / 192)], shade, 3, static_cast<int>(i % 3));
    const clr::Backbone backbone =
        clr::load_backbone(*dir / "backbone.safetensors", "auto", cpu_device, DType::f32);
    const Tensor f = clr::outputs_of(*clr::restore_network(backbone, file), images).features;
    const std::int64_t width = f.dim(1);
    const auto distance = [&](std::int64_t a, std::int64_t b) {
      double sum = 0;
      for (std::int64_t k = 0; k < width; ++k)
        sum +=
            std::pow(static_cast<double>(f.data<float>()[a * width + k] - f.data<float>()[b * width + k]), 2);
      return sum;
    };
    double least = HUGE_VAL;
    for (std::int64_t a = 0; a < n; ++a)
      for (std::int64_t b = 0; b < a; ++b) least = std::min(least, distance(a, b));
    // A class's logit is -|f - f_c|² / least, but for what all classes share.
    for (auto& [name, tensor] : file.tensors)
      for (std::int64_t c = 0; c < n; ++c) {
        double squares = 0;
        for (std::int64_t k = 0; k < width; ++k) {
          const double x = static_cast<double>(f.data<float>()[c * width + k]);
          squares += x * x;
          if (name == "linear.weight")
            tensor.mutable_data<float>()[c * width + k] = static_cast<float>(2 * x / least);
        }
        if (name == "linear.bias") tensor.mutable_data<float>()[c] = static_cast<float>(-squares / least);
      }
    if (reversed)  // as if it had been learned so
      for (auto& [split, digest] : file.data_digests) {
        const data::Task task = data::find_tasks(*dir / "data", {.tasks = {file.task}}).at(0);
        std::vector<data::Sample> samples = split == "train" ? task.train
                                            : split == "val" ? task.val
                                                             : task.test;
        for (data::Sample& sample : samples) sample.label = static_cast<int>(n) - 1 - sample.label;
        data::ImageStore store(samples, 8, "");
        store.load();
        digest = store.digest();
      }
    file.val_accuracy = n == 3 ? 0.875 : 0.5;
    if (n == 3) file.test_accuracy = 0.75;
    clr::write_task_file(path, file);
  }
  // The folder of data/colours in another form, beside data/stones as it was.
  static std::string other_data(const std::vector<Images>& images) {
    const std::string other = *dir / "other";
    fs::remove_all(other);
    write_images(other + "/colours", 20, images);
    fs::create_directory_symlink(*dir / "data/stones", other + "/stones");
    return other;
  }
  static Outcome run_clr(words arguments, const words& more) {
    arguments.insert(arguments.end(), more.begin(), more.end());
    return test::clr(arguments);
  }
  Outcome eval(const std::string& data, const words& more = {}) const {
    return run_clr({"eval", "--run", run, "--device", "cpu", "--quiet", "--data", data}, more);
  }
  static json parsed(const Outcome& o, int status = 0) {
    EXPECT_EQ(o.status, status) << o.err;
    return json::parse(o.out, nullptr, false);
  }
  std::string text(const std::string& file) const { return read_text(run + "/" + file); }
  const std::string run = *dir / (GetParam() ? "run1" : "run0");
  inline static TempDir* dir = nullptr;
};

}  // namespace reprise::test
