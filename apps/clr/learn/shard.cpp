#include "apps/clr/learn/shard.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <optional>
#include <string_view>

#include "apps/clr/learn/errors.h"

namespace reprise::clr {
namespace {

constexpr std::int64_t most_shards = 1 << 20;

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  return ec == std::errc{} && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

// Returns the variable's value; nothing if it is not set. Throws BadValue for another text.
std::optional<std::int64_t> variable(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr) return std::nullopt;
  const auto value = number(text);
  if (!value || std::abs(*value) > INT32_MAX)
    throw BadValue("shard", fmt::format("auto: {} is '{}', not a number: give --shard I/N", name, text));
  return value;
}

// A place among processes.
struct Place {
  std::int64_t index = 0, count = 1;
};

// The place in an array of jobs, from the element's number, the least, the most and their distance.
std::optional<Place> place_in_array() {
  const auto id = variable("SLURM_ARRAY_TASK_ID"), least = variable("SLURM_ARRAY_TASK_MIN"),
             most = variable("SLURM_ARRAY_TASK_MAX"), step = variable("SLURM_ARRAY_TASK_STEP");
  if (!id) return std::nullopt;
  const std::int64_t distance = std::max<std::int64_t>(1, step.value_or(1));
  if (!least || !most || *id < *least || *id > *most || (*id - *least) % distance != 0)
    throw BadValue("shard",
                   "auto: SLURM_ARRAY_TASK_ID, _MIN and _MAX name no place in an array: give --shard I/N");
  const std::int64_t count = (*most - *least) / distance + 1;
  if (variable("SLURM_ARRAY_TASK_COUNT").value_or(count) != count)
    throw BadValue("shard", "auto: this array of jobs has gaps: give --shard I/N");
  return Place{(*id - *least) / distance, count};
}

// mpirun may start its own helpers by srun: its variables come before Slurm's.
std::optional<Place> rank_in_step() {
  for (const auto& [rank, size] : {std::pair("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
                                   {"PMI_RANK", "PMI_SIZE"},
                                   {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS"}})
    if (const auto i = variable(rank), n = variable(size); i && n && *i >= 0 && *i < *n) return Place{*i, *n};
  return std::nullopt;
}

}  // namespace

Shard shard_of(const std::string& text) {
  if (text == "auto") {
    const auto array = place_in_array(), step = rank_in_step();
    if (!array && !step)
      throw BadValue("shard",
                     "auto: no variables of Slurm, Open MPI or PMI say which part is this process's");
    const Place outer = array.value_or(Place{}), inner = step.value_or(Place{});
    if (outer.count > most_shards / inner.count)
      throw BadValue("shard", fmt::format("auto: {} x {} processes are too many", outer.count, inner.count));
    return {static_cast<std::size_t>(outer.index * inner.count + inner.index),
            static_cast<int>(outer.count * inner.count)};
  }
  const std::size_t slash = std::min(text.find('/'), text.size());
  const auto i = number(text.substr(0, slash)), n = number(text.substr(std::min(slash + 1, text.size())));
  if (!i || !n || *i < 1 || *i > *n || *n > most_shards)
    throw BadValue("shard", text, "I/N with 1 <= I <= N, or auto");
  return {static_cast<std::size_t>(*i) - 1, static_cast<int>(*n)};
}

int local_rank() {
  for (const char* name : {"OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"})
    if (const char* text = std::getenv(name))
      if (const auto rank = number(text); rank && *rank >= 0) return static_cast<int>(*rank % INT32_MAX);
  return 0;
}

double work_of(std::int64_t train_images, std::int64_t val_images) {
  return static_cast<double>(train_images) + 0.35 * static_cast<double>(val_images);
}

std::vector<std::vector<std::size_t>> plan_shards(const std::vector<double>& work, int count) {
  std::vector<std::size_t> order(work.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return work[a] > work[b]; });
  std::vector<std::vector<std::size_t>> shards(static_cast<std::size_t>(count));
  std::vector<double> sums(shards.size(), 0);
  for (const std::size_t task : order) {
    const auto least = static_cast<std::size_t>(std::ranges::min_element(sums) - sums.begin());
    shards[least].push_back(task);
    sums[least] += work[task];
  }
  return shards;
}

}  // namespace reprise::clr
