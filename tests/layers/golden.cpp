#include "tests/layers/golden.h"

#include <cmath>

namespace reprise::test {
namespace {

// Calls f(index in memory, index in the file) for every element.
template <class F>
void for_each_place(const Shape& memory, FileLayout layout, F f) {
  const Shape s = layout == FileLayout::depthwise ? Shape{1, memory[0], memory[1], memory[2]} : memory;
  if (layout == FileLayout::plain) {
    for (std::int64_t i = 0; i < memory.numel(); ++i) f(i, i);
    return;
  }
  const bool depthwise = layout == FileLayout::depthwise;
  std::int64_t m = 0;
  for (std::int64_t o = 0; o < s[0]; ++o)
    for (std::int64_t h = 0; h < s[1]; ++h)
      for (std::int64_t w = 0; w < s[2]; ++w)
        for (std::int64_t c = 0; c < s[3]; ++c, ++m)
          f(m, depthwise ? (c * s[1] + h) * s[2] + w : ((o * s[3] + c) * s[1] + h) * s[2] + w);
}

Tensor from_file_order(const std::vector<double>& elements, const Shape& memory, FileLayout layout,
                       DType dtype, Device device) {
  std::vector<float> turned(elements.size());
  for_each_place(memory, layout, [&](std::int64_t m, std::int64_t f) {
    turned[static_cast<std::size_t>(m)] = static_cast<float>(elements[static_cast<std::size_t>(f)]);
  });
  return tensor(memory, std::span<const float>(turned)).to(dtype).to(device);
}

// How a tensor's values follow from its name and shape: offset[i] + scale * value.
struct Rule {
  double scale, offset;
};
Rule rule_of(const std::string& name, const Shape& shape, FileLayout layout, bool active) {
  if (name.ends_with("running_mean")) return {0.2, 0};
  if (name.ends_with("running_var")) return {1, 1};
  if (name.ends_with("reprogram.weight")) return {0.2, 0};
  if (shape.rank() == 4) return {std::sqrt(24.0 / static_cast<double>(shape.drop_front().numel())), 0};
  if (layout == FileLayout::depthwise) return {std::sqrt(24.0 / static_cast<double>(shape[0] * shape[1])), 0};
  if (shape.rank() == 2) return {std::sqrt(12.0 / static_cast<double>(shape[1])), 0};
  if (active && name.ends_with("weight")) return {0.025, 0.05};
  if (active && name.ends_with("bias")) return {0.2, 1};
  if (name.ends_with("weight")) return {0.5, 1};
  return {0.2, 0};
}

}  // namespace

std::vector<double> values_of(const std::string& name, std::int64_t count) {
  std::uint64_t hash = 0xCBF29CE484222325;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  std::vector<double> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::uint64_t z = hash + i + 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    z = z ^ (z >> 31);
    values[i] = static_cast<double>(z >> 40) / 0x1p24 - 0.5;
  }
  return values;
}

void fill(layers::Network& network, bool active) {
  for (const layers::Entry& e : network.named_tensors()) {
    std::vector<double> v = values_of(e.name, e.tensor->numel());
    const Rule rule = rule_of(e.name, e.tensor->shape(), e.layout, active);
    const std::int64_t taps = e.tensor->numel() / e.tensor->dim(-1);
    for (std::size_t i = 0; i < v.size(); ++i) {
      const bool centre = e.name.ends_with("reprogram.weight") && e.layout == FileLayout::depthwise &&
                          static_cast<std::int64_t>(i) % taps == taps / 2;
      v[i] = rule.offset + (centre ? 1.0 : 0.0) + rule.scale * v[i];
    }
    copy_into(*e.tensor,
              from_file_order(v, e.tensor->shape(), e.layout, e.tensor->dtype(), e.tensor->device()));
  }
}

Tensor golden_images(const Shape& s, DType dtype, Device device) {
  std::vector<double> v = values_of("images", s.numel());
  for (double& x : v) x *= 4;
  return from_file_order(v, {s[0], s[2], s[3], s[1]}, FileLayout::images, dtype, device);
}

std::vector<double> in_file_order(const Tensor& tensor, FileLayout layout) {
  const Tensor wide = tensor.to(DType::f64);
  const double* memory = wide.data<double>();
  std::vector<double> elements(static_cast<std::size_t>(tensor.numel()));
  for_each_place(tensor.shape(), layout,
                 [&](std::int64_t m, std::int64_t f) { elements[static_cast<std::size_t>(f)] = memory[m]; });
  return elements;
}

std::vector<double> golden_row(const std::vector<double>& elements) {
  double squares = 0;
  for (const double e : elements) squares += e * e;
  std::vector<double> row{std::sqrt(squares)};
  for (std::size_t k = 0; k < 8; ++k) row.push_back(elements[k * elements.size() / 8]);
  return row;
}

}  // namespace reprise::test
