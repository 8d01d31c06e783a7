#include "data/loader/order.h"

#include <algorithm>
#include <charconv>
#include <numeric>

#include "data/io/file.h"
#include "engine/base/check.h"
#include "engine/base/random.h"

namespace reprise::data {
namespace {

std::vector<std::int64_t> parse_line(std::string_view line, const std::string& path, std::int64_t number,
                                     std::int64_t n) {
  constexpr std::string_view dividers = " \t\r,";
  std::vector<std::int64_t> indices;
  for (std::size_t at = line.find_first_not_of(dividers); at != line.npos;) {
    const std::size_t end = std::min(line.find_first_of(dividers, at), line.size());
    const std::string_view word = line.substr(at, end - at);
    std::int64_t index = -1;
    const auto [stop, ec] = std::from_chars(word.data(), word.data() + word.size(), index);
    REPRISE_CHECK(ec == std::errc{} && stop == word.data() + word.size(),
                  "order: expected an image's index, got '{}'\n  file    {}\n  line    {}",
                  word.substr(0, 40), path, number);
    REPRISE_CHECK(index >= 0 && index < n, "order: index {} lies outside 0..{}\n  file    {}\n  line    {}",
                  index, n - 1, path, number);
    indices.push_back(index);
    at = line.find_first_not_of(dividers, end);
  }
  return indices;
}

}  // namespace

std::vector<std::int64_t> epoch_order(std::int64_t n, std::uint64_t seed, std::string_view task,
                                      std::int64_t epoch, bool shuffle) {
  if (shuffle)
    return RandomStream(seed, "shuffle/" + std::string(task), static_cast<std::uint64_t>(epoch))
        .permutation(n);
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  return order;
}

std::vector<std::vector<std::int64_t>> cut_batches(std::span<const std::int64_t> order, std::int64_t batch) {
  REPRISE_CHECK(batch >= 1, "batch: expected at least 1 image, got {}", batch);
  std::vector<std::vector<std::int64_t>> batches;
  while (!order.empty()) {
    const auto part = order.first(std::min(order.size(), static_cast<std::size_t>(batch)));
    batches.emplace_back(part.begin(), part.end());
    order = order.subspan(part.size());
  }
  return batches;
}

std::vector<std::vector<std::int64_t>> epoch_batches(std::int64_t n, std::int64_t batch, std::uint64_t seed,
                                                     std::string_view task, std::int64_t epoch,
                                                     bool shuffle) {
  return cut_batches(epoch_order(n, seed, task, epoch, shuffle), batch);
}

std::vector<std::int64_t> torch_loader_order(std::int64_t n, TorchGenerator& generator) {
  REPRISE_CHECK(n >= 1, "order: PyTorch's shuffling loader needs at least 1 sample, got {}", n);
  generator.random_seed();  // the loader's base seed, which only workers use
  return TorchGenerator(generator.random_seed()).permutation(n);
}

std::vector<std::vector<std::int64_t>> read_order_file(const std::string& path, std::int64_t n) {
  const std::vector<std::byte> bytes = read_file(path);
  std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::vector<std::vector<std::int64_t>> epochs;
  for (std::int64_t number = 1; !rest.empty(); ++number) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    std::vector<std::int64_t> indices = parse_line(rest.substr(0, end), path, number, n);
    if (!indices.empty()) epochs.push_back(std::move(indices));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  REPRISE_CHECK(!epochs.empty(), "order: the file holds no indices\n  file    {}", path);
  return epochs;
}

}  // namespace reprise::data
