// Orders a split's images and cuts the order into batches, as indices into the split.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/export.h"
#include "engine/base/torch_random.h"

namespace reprise::data {

// Returns the order of one epoch: 0..n-1, shuffled where asked with the stream (seed,
// "shuffle/<task>", epoch).
REPRISE_API std::vector<std::int64_t> epoch_order(std::int64_t n, std::uint64_t seed, std::string_view task,
                                                  std::int64_t epoch, bool shuffle);

// Cuts an order into batches. The last one may be smaller.
REPRISE_API std::vector<std::vector<std::int64_t>> cut_batches(std::span<const std::int64_t> order,
                                                               std::int64_t batch);

// Returns the batches of one epoch. Throws Error if batch < 1.
REPRISE_API std::vector<std::vector<std::int64_t>> epoch_batches(std::int64_t n, std::int64_t batch,
                                                                 std::uint64_t seed, std::string_view task,
                                                                 std::int64_t epoch, bool shuffle);

// Returns the order in which PyTorch's DataLoader(shuffle=True, num_workers=0) gives n samples.
// Beginning an iteration takes torch_loader_draws numbers from the global generator, whatever n is.
// Throws Error if n < 1, as PyTorch does.
inline constexpr std::int64_t torch_loader_draws = 4;
REPRISE_API std::vector<std::int64_t> torch_loader_order(std::int64_t n, TorchGenerator& generator);

// Reads a text file with one epoch's image indices on each line, divided by blanks or commas. Empty
// lines are skipped. An index may be missing or stand twice. Throws Error, with line and value, for
// one outside 0..n-1.
REPRISE_API std::vector<std::vector<std::int64_t>> read_order_file(const std::string& path, std::int64_t n);

}  // namespace reprise::data
