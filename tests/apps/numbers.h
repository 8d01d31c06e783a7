// A small run, trained once, whose every number is compared with one that is counted.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/clr/learn/task_file.h"
#include "data/io/file.h"
#include "data/weights/weight_file.h"
#include "engine/base/sha256.h"
#include "tests/apps/figures.h"
#include "tests/apps/train_support.h"

namespace reprise::test {

namespace fs = std::filesystem;
using nlohmann::json;
using words = std::vector<std::string>;

// Of a ResNet-20: outputs of its 19 convolutions, parameters without head, running statistics.
inline constexpr int channels = 16 + 6 * 16 + 6 * 32 + 6 * 64, body = 269072, statistics = 2 * channels;
inline constexpr int backbone_head = 650;

inline std::string sha256_of(const std::string& path) {
  return sha256_hex(data::read_file(path));
}

inline json json_of(words arguments, int status = 0) {
  arguments.emplace_back("--json");
  const Outcome o = clr(arguments);
  EXPECT_EQ(o.status, status) << o.err;
  return json::parse(o.out, nullptr, false);
}

class Numbers : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir = new TempDir;
    write_tiny_backbone(*dir / "backbone.safetensors");
    for (const auto& [split, images] : {std::pair("train", 5), {"val", 2}, {"test", 3}})
      for (int label = 0; label < 3; ++label) {
        const std::string folder = *dir / "data/dots/" + split + "/class" + std::to_string(label);
        fs::create_directories(folder);
        for (int i = 0; i < images; ++i)
          write_image(folder + "/" + split + std::to_string(i) + ".ppm", 8, label,
                      static_cast<std::uint64_t>(i));
      }
    // Too few images to validate on.
    write_task(*dir / "data", "few", 1);
    outcome = new json(json_of(train("run", {"--tasks", "dots", "--lr", "0.01", "--lr-step", "2", "--gamma",
                                             "0.5", "--epochs", "5", "--log-steps", *dir / "steps.csv"})));
  }
  static void TearDownTestSuite() {
    delete dir;
    delete outcome;
    dir = nullptr, outcome = nullptr;
  }
  static words train(const std::string& run, const words& more) {
    words all{"train",    "--backbone",  *dir / "backbone.safetensors",
              "--data",   *dir / "data", "--run",
              *dir / run, "--device",    "cpu",
              "--size",   "8",           "--batch",
              "5",        "--quiet"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  static std::string text(const std::string& file) { return read_text(*dir / file); }
  // The epochs of a log, as numbers; -1 for a field that is empty.
  static std::vector<std::vector<double>> log_of(const std::string& file) {
    const Rows rows = csv_cells(text(file));
    EXPECT_EQ(rows.at(0),
              (Cells{"epoch", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "seconds"}));
    std::vector<std::vector<double>> log;
    for (std::size_t i = 1; i < rows.size(); ++i) {
      log.emplace_back();
      for (const std::string& cell : rows[i]) log.back().push_back(cell.empty() ? -1 : std::stod(cell));
      EXPECT_EQ(log.back().size(), 7u);
    }
    return log;
  }
  // A split's mean loss and accuracy, from what predict answers image by image.
  static std::pair<double, double> predicted(const std::string& split) {
    const json images = json_of({"predict", "--device", "cpu", "--task", *dir / "run/tasks/dots.safetensors",
                                 *dir / "data/dots/" + split})["images"];
    double loss = 0, right = 0;
    for (const json& image : images) {
      const std::string truth = fs::path(image["path"].get<std::string>()).parent_path().filename();
      right += image["predictions"][0]["class"] == truth;
      for (const json& p : image["predictions"])
        if (p["class"] == truth) loss -= std::log(p["probability"].get<double>());
    }
    const auto n = static_cast<double>(images.size());
    return {loss / n, right / n};
  }
  inline static TempDir* dir = nullptr;
  inline static json* outcome = nullptr;
};

}  // namespace reprise::test
