#include "apps/clr/learn/shard.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <numeric>
#include <optional>
#include <string_view>

#include "apps/clr/learn/errors.h"

namespace reprise::clr {
namespace {

constexpr int most_shards = 1 << 20;

std::optional<int> number(std::string_view text) {
  int value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  return ec == std::errc{} && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

std::optional<int> variable(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? std::nullopt : number(text);
}

// The place in an array of jobs, from the element's number, the least, the most and their distance.
std::optional<Shard> place_in_array() {
  const auto id = variable("SLURM_ARRAY_TASK_ID"), least = variable("SLURM_ARRAY_TASK_MIN"),
             most = variable("SLURM_ARRAY_TASK_MAX"), step = variable("SLURM_ARRAY_TASK_STEP");
  if (!id || !least || !most) return std::nullopt;
  const int distance = std::max(1, step.value_or(1)), count = (*most - *least) / distance + 1;
  if (variable("SLURM_ARRAY_TASK_COUNT").value_or(count) != count)
    throw BadValue("shard", "auto: this array of jobs has gaps: give --shard I/N");
  return Shard{static_cast<std::size_t>((*id - *least) / distance), count};
}

// mpirun may start its own helpers by srun: its variables come before Slurm's.
std::optional<Shard> rank_in_step() {
  for (const auto& [rank, size] : {std::pair("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
                                   {"PMI_RANK", "PMI_SIZE"},
                                   {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS"}})
    if (const auto i = variable(rank), n = variable(size); i && n && *i >= 0 && *i < *n)
      return Shard{static_cast<std::size_t>(*i), *n};
  return std::nullopt;
}

}  // namespace

Shard shard_of(const std::string& text) {
  if (text == "auto") {
    const auto array = place_in_array(), step = rank_in_step();
    if (!array && !step)
      throw BadValue("shard",
                     "auto: no variables of Slurm, Open MPI or PMI say which part is this process's");
    const Shard outer = array.value_or(Shard{}), inner = step.value_or(Shard{});
    return {outer.index * static_cast<std::size_t>(inner.count) + inner.index, outer.count * inner.count};
  }
  const std::size_t slash = std::min(text.find('/'), text.size());
  const auto i = number(text.substr(0, slash)), n = number(text.substr(std::min(slash + 1, text.size())));
  if (!i || !n || *i < 1 || *i > *n || *n > most_shards)
    throw BadValue("shard", text, "I/N with 1 <= I <= N, or auto");
  return {static_cast<std::size_t>(*i) - 1, *n};
}

int local_rank() {
  for (const char* name : {"OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"})
    if (const auto rank = variable(name); rank && *rank >= 0) return *rank;
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
