// Divides lists of tensors into pieces for threads, and computes the gradient of a norm.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/kernels/args.h"

namespace reprise::kernels::cpu {

// Elements [begin, end) of one row of tensor k; a row's pieces follow one another. `row` counts the
// rows of all tensors.
struct Piece {
  std::size_t k;
  std::int64_t row, begin, end;
};

// Adds tensor k's pieces: `rows` rows of n values, cut into chunks of `chunk`; first_row: the number
// of rows before them in the list.
inline void add_pieces(std::vector<Piece>& pieces, std::size_t k, std::int64_t first_row, std::int64_t rows,
                       std::int64_t n, std::int64_t chunk) {
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t b = 0; b < n; b += chunk)
      pieces.push_back({k, first_row + r, r * n + b, r * n + std::min(n, b + chunk)});
}

// Computes out = the gradient of scale * norm(x) for n values of a row whose norm is `norm`.
inline void norm_gradient(NormKind kind, float scale, double norm, const float* x, float* out,
                          std::int64_t n) {
  if (kind == NormKind::l1) {
    for (std::int64_t i = 0; i < n; ++i)
      out[i] = scale * static_cast<float>(static_cast<int>(x[i] > 0) - static_cast<int>(x[i] < 0));
    return;
  }
  const double factor = norm == 0 ? 0 : static_cast<double>(scale) / norm;
  for (std::int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(factor * static_cast<double>(x[i]));
}

}  // namespace reprise::kernels::cpu
