#include "tests/apps/by_formula.h"

#include <cmath>

#include "layers/file_layout.h"
#include "layers/network.h"

namespace reprise::test {
namespace {

// The output function of SplitMix64.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

double value(const std::string& name, const Shape& shape, std::int64_t i, double u) {
  if (name.ends_with("reprogram.weight")) return u / 8 + (i % 9 == 4 ? 1 : 0);
  const bool norm = name.find("bn") != std::string::npos;
  if (name.ends_with("running_var") || (norm && name.ends_with("weight"))) return 1 + u / 4;
  if (norm || name.starts_with("linear")) return u / 8;
  return u * (shape[1] == 3 ? 0.5 : shape[1] == 64 ? 0.0625 : 0.125);
}

}  // namespace

Noise::Noise(const std::string& name) : hash_(0xCBF29CE484222325u) {
  for (const char c : name) hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
}

double Noise::operator()(std::int64_t i) const {
  return static_cast<double>(mix(hash_ ^ static_cast<std::uint64_t>(i)) >> 43) / 0x1p20 - 1;
}

data::NamedTensor by_formula(const std::string& name, const Shape& file_shape) {
  const Noise noise(name);
  Tensor t = empty(file_shape);
  float* to = t.mutable_data<float>();
  for (std::int64_t i = 0; i < t.numel(); ++i)
    to[i] = static_cast<float>(value(name, file_shape, i, noise(i)));
  return {name, t};
}

std::vector<data::NamedTensor> resnet20_by_formula(int classes) {
  const auto network = layers::make_network("resnet20", classes);
  std::vector<data::NamedTensor> tensors;
  for (const layers::Entry& e : network->named_tensors())
    tensors.push_back(by_formula(e.name, layers::file_shape(e.tensor->shape(), e.layout)));
  return tensors;
}

std::string image_by_formula(int index, int size) {
  std::string pixels = "P6\n" + std::to_string(size) + " " + std::to_string(size) + "\n255\n";
  const Noise noise("image" + std::to_string(index));
  for (std::int64_t p = 0; p < std::int64_t{size} * size * 3; ++p)
    pixels += static_cast<char>(std::floor((noise(p) + 1) * 128));
  return pixels;
}

}  // namespace reprise::test
