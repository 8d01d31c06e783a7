// A folder of images and a weight file, for lesson 10 where nobody brings any.
#pragma once

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>

#include "data/image/write_png.h"
#include "data/weights/weight_file.h"
#include "engine/autograd/autograd.h"
#include "engine/base/random.h"
#include "layers/layers.h"

namespace tour {

// Draws waves into a folder of class folders: "across", "down" and "rings", 40 of each. Their width,
// phase, colours and noise are random.
inline std::string draw_waves(const std::string& folder) {
  constexpr int size = 32, per_class = 40;
  for (const std::string name : {"across", "down", "rings"}) {
    std::filesystem::create_directories(folder + "/" + name);
    for (int i = 0; i < per_class; ++i) {
      reprise::RandomStream random(0, "tour/waves/" + name, static_cast<std::uint64_t>(i));
      const double width = random.uniform(0.5, 1.5), phase = random.uniform(0, 6);
      double colour[3];
      for (double& c : colour) c = random.uniform(40, 120);
      reprise::data::Image image{size, size, {}};
      for (int k = 0; k < size * size * 3; ++k) {
        const double x = k / 3 % size - size / 2.0, y = k / 3 / size - size / 2.0;
        const double along = name == "across" ? x : name == "down" ? y : std::hypot(x, y);
        const double light = 128 + colour[k % 3] * std::sin(width * along + phase) + 20 * random.normal();
        image.rgb.push_back(static_cast<std::uint8_t>(std::clamp(light, 0.0, 255.0)));
      }
      reprise::data::write_png(folder + "/" + name + "/" + std::to_string(i) + ".png", image);
    }
  }
  return folder;
}

// Writes a ResNet-20 with random filters and a head of ten classes, as torch.save would. Its batch
// norms have seen noise, so that its features are neither tiny nor huge.
inline std::string write_random_weights(const std::string& file) {
  const auto network = reprise::layers::make_network("resnet20", 10);
  network->initialize(/*seed=*/0);
  const reprise::NoGrad nothing_to_record;
  for (std::uint64_t i = 0; i < 30; ++i) (*network)(reprise::randn({8, 32, 32, 3}, i));
  reprise::data::write_pth(file, reprise::layers::state_dict(*network));
  return file;
}

}  // namespace tour
