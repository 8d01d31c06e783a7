// Which images form which batch, as indices into a split.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/export.h"
#include "engine/base/torch_random.h"

namespace reprise::data {

// The order of one epoch: 0..n-1, shuffled with the stream (seed, "shuffle/<task>", epoch) if wanted.
REPRISE_API std::vector<std::int64_t> epoch_order(std::int64_t n, std::uint64_t seed, std::string_view task,
                                                  std::int64_t epoch, bool shuffle);

// The order cut into batches; the last one may be smaller.
REPRISE_API std::vector<std::vector<std::int64_t>> cut_batches(std::span<const std::int64_t> order,
                                                               std::int64_t batch);

// Both at once. Error if batch < 1.
REPRISE_API std::vector<std::vector<std::int64_t>> epoch_batches(std::int64_t n, std::int64_t batch,
                                                                 std::uint64_t seed, std::string_view task,
                                                                 std::int64_t epoch, bool shuffle);

// The order in which PyTorch's DataLoader(shuffle=True, num_workers=0) gives n samples when an iteration over
// it begins: so many draws from the global generator, whatever n is. Error if n < 1, as there.
inline constexpr std::int64_t torch_loader_draws = 4;
REPRISE_API std::vector<std::int64_t> torch_loader_order(std::int64_t n, TorchGenerator& generator);

// A text file with one epoch's image indices a line, divided by blanks or commas; empty lines count for
// nothing. Every index lies in 0..n-1; an index may be missing or stand twice. Error names line and value.
REPRISE_API std::vector<std::vector<std::int64_t>> read_order_file(const std::string& path, std::int64_t n);

}  // namespace reprise::data
