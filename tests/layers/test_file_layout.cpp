// Layouts of files and memory.
#include "layers/file_layout.h"

#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace reprise::layers {
namespace {

// Returns a tensor of the given shape with values 0, 1, 2, ...
Tensor counting(const Shape& shape) {
  std::vector<float> values(static_cast<std::size_t>(shape.numel()));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  return tensor(shape, values);
}
std::vector<float> values(const Tensor& t) {
  return {t.values<float>().begin(), t.values<float>().end()};
}

TEST(Layout, ConvFilters) {
  const Tensor file = counting({2, 3, 1, 2});  // (O,I,R,S)
  const Tensor memory = from_file_layout(file, FileLayout::conv);
  EXPECT_EQ(memory.shape(), (Shape{2, 1, 2, 3}));
  EXPECT_EQ(values(memory), (std::vector<float>{0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11}));
}

TEST(Layout, Depthwise) {
  const Tensor memory = from_file_layout(counting({3, 1, 2, 2}), FileLayout::depthwise);
  EXPECT_EQ(memory.shape(), (Shape{2, 2, 3}));
  EXPECT_EQ(values(memory), (std::vector<float>{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11}));
}

TEST(Layout, ThereAndBack) {
  const std::pair<Shape, FileLayout> cases[] = {
      {{5}, FileLayout::plain},
      {{4, 3, 2, 5}, FileLayout::conv},
      {{7, 1, 3, 2}, FileLayout::depthwise},
      {{2, 3, 5, 4}, FileLayout::images},
      {{0, 3, 5, 4}, FileLayout::images},
  };
  for (const auto& [shape, layout] : cases)
    for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::u8, DType::i64}) {
      const Tensor file = counting(shape).to(dtype);
      const Tensor back = to_file_layout(from_file_layout(file, layout), layout);
      EXPECT_EQ(back.shape(), shape);
      EXPECT_EQ(back.dtype(), dtype);
      EXPECT_TRUE(std::ranges::equal(back.raw_bytes(), file.raw_bytes())) << to_string(shape);
    }
}

TEST(Layout, RefusesOtherShapes) {
  EXPECT_THROW(from_file_layout(ones({3, 3}), FileLayout::conv), Error);
  EXPECT_THROW(from_file_layout(ones({3, 2, 3, 3}), FileLayout::depthwise), Error);
  EXPECT_THROW(from_file_layout(ones({3, 3, 1, 3, 3}), FileLayout::depthwise), Error);
  EXPECT_THROW(to_file_layout(ones({3, 3}), FileLayout::depthwise), Error);
  EXPECT_THROW(to_file_layout(ones({3, 3, 3}), FileLayout::images), Error);
}

}  // namespace
}  // namespace reprise::layers
