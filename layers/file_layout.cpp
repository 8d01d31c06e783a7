#include "layers/file_layout.h"

#include <array>
#include <cstring>
#include <vector>

#include "engine/base/check.h"

namespace reprise::layers {
namespace {

// A copy whose dimension i is the source's dimension order[i].
template <class Word>
void permute(const Tensor& from, MutView to, const std::vector<int>& order) {
  const int rank = from.rank();
  std::array<std::int64_t, Shape::max_rank> step{}, index{};
  for (int i = 0; i < rank; ++i) {
    std::int64_t stride = 1;
    for (int j = order[static_cast<std::size_t>(i)] + 1; j < rank; ++j) stride *= from.dim(j);
    step[static_cast<std::size_t>(i)] = stride;
  }
  const auto* source = reinterpret_cast<const Word*>(from.raw_bytes().data());
  auto* destination = static_cast<Word*>(to.ptr);
  const std::int64_t n = from.numel();
  std::int64_t at = 0;
  for (std::int64_t k = 0; k < n; ++k) {
    destination[k] = source[at];
    for (int i = rank - 1; i >= 0; --i) {  // count up, innermost first
      const auto d = static_cast<std::size_t>(i);
      at += step[d];
      if (++index[d] < to.shape[i]) break;
      at -= step[d] * index[d];
      index[d] = 0;
    }
  }
}

Tensor permuted(const Tensor& tensor, const std::vector<int>& order) {
  std::vector<std::int64_t> dims;
  for (int i : order) dims.push_back(tensor.dim(i));
  Tensor out = empty(Shape(dims), tensor.dtype(), tensor.device());
  switch (size_of(tensor.dtype())) {
    case 1:
      permute<std::uint8_t>(tensor, out.mut_view(), order);
      break;
    case 2:
      permute<std::uint16_t>(tensor, out.mut_view(), order);
      break;
    case 4:
      permute<std::uint32_t>(tensor, out.mut_view(), order);
      break;
    default:
      permute<std::uint64_t>(tensor, out.mut_view(), order);
  }
  return out;
}

void check_rank(const Tensor& tensor, int rank, std::string_view expected) {
  REPRISE_CHECK(tensor.device().is_host(), "layout: the tensor is on {}; copy it to the host first",
                to_string(tensor.device()));
  REPRISE_CHECK(tensor.rank() == rank, "layout: expected {}, got {}", expected, to_string(tensor.shape()));
}

}  // namespace

Tensor from_file_layout(const Tensor& tensor, FileLayout layout) {
  if (layout == FileLayout::plain) return tensor;
  if (layout == FileLayout::conv || layout == FileLayout::images) {
    check_rank(tensor, 4, layout == FileLayout::conv ? "a filter (O,I,R,S)" : "images (N,C,H,W)");
    return permuted(tensor, {0, 2, 3, 1});
  }
  check_rank(tensor, 4, "a depthwise filter (C,1,R,S)");
  REPRISE_CHECK(tensor.dim(1) == 1, "layout: expected a depthwise filter (C,1,R,S), got {}",
                to_string(tensor.shape()));
  const auto dims = tensor.shape().dims();
  return permuted(tensor.viewed_as({dims[0], dims[2], dims[3]}), {1, 2, 0});
}

Tensor to_file_layout(const Tensor& tensor, FileLayout layout) {
  if (layout == FileLayout::plain) return tensor;
  if (layout == FileLayout::conv || layout == FileLayout::images) {
    check_rank(tensor, 4, layout == FileLayout::conv ? "a filter (O,R,S,I)" : "images (N,H,W,C)");
    return permuted(tensor, {0, 3, 1, 2});
  }
  check_rank(tensor, 3, "a depthwise filter (R,S,C)");
  return permuted(tensor, {2, 0, 1}).viewed_as(file_shape(tensor.shape(), layout));
}

Shape file_shape(const Shape& s, FileLayout layout) {
  if (layout == FileLayout::plain) return s;
  return layout == FileLayout::depthwise ? Shape{s[2], 1, s[0], s[1]} : Shape{s[0], s[3], s[1], s[2]};
}

}  // namespace reprise::layers
