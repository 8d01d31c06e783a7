#include "apps/clr/learn/estimate.h"

#include <algorithm>
#include <fstream>
#include <limits>

#include "apps/clr/learn/surroundings.h"
#include "apps/clr/learn/table.h"
#include "engine/base/cgroup.h"
#include "engine/base/check.h"
#include "engine/base/gpu.h"
#include "engine/core/storage.h"
#include "layers/batch_norm.h"
#include "layers/conv_bn.h"
#include "layers/summary.h"

namespace reprise::clr {
namespace {

constexpr std::int64_t unlimited = std::numeric_limits<std::int64_t>::max();

// Reads a file that holds one number; `unlimited` for "max" and for an absent file.
std::int64_t number_in(const std::string& path) {
  std::ifstream in(path);
  std::int64_t value = unlimited;
  return in >> value ? value : unlimited;
}

std::int64_t system_available() {
  std::ifstream in("/proc/meminfo");
  std::string key, unit;
  std::int64_t kib = 0;
  while (in >> key >> kib) {
    if (key == "MemAvailable:") return kib * 1024;
    std::getline(in, unit);
  }
  return unlimited;
}

// Returns the bytes of cached files that a control group counts as used and gives up when asked.
std::int64_t reclaimable(const std::string& group) {
  std::ifstream in(group + "/memory.stat");
  std::int64_t value = 0, own = 0;
  for (std::string key; in >> key >> value;) {
    if (key == "total_inactive_file") return value;  // in version 1, with the groups within
    if (key == "inactive_file") own = value;
  }
  return own;
}

bool works(std::int64_t images, std::int64_t batch, std::int64_t values_per_image) {
  const std::int64_t last = images % batch == 0 ? std::min(batch, images) : images % batch;
  return values_per_image == 0 || last * values_per_image > 1;
}

bool is_batch_norm(const layers::Network& network, const layers::LayerRow& row) {
  return dynamic_cast<const layers::BatchNorm2d*>(network.find(row.name)) != nullptr;
}

// Returns true if backward keeps no output of a batch norm: blocks are fused, and no trained
// convolution keeps the output as its input.
bool drops_batch_norms(const layers::Network& network) {
  if (!layers::fuses_blocks()) return false;
  for (const layers::Module* m : network.modules()) {  // another layer keeps more than its output
    const auto* reprogram = dynamic_cast<const layers::Reprogram*>(m);
    if (reprogram != nullptr && !reprogram->block_filter().defined()) return false;
  }
  for (const Tensor& t : network.trained_parameters())
    if (t.rank() == 4) return false;
  return true;
}

}  // namespace

std::int64_t memory_left(const std::vector<std::string>& cgroup_folders) {
  std::int64_t least = unlimited;
  for (const std::string& group : cgroup_folders)
    for (const auto& [limit_file, used_file] : {std::pair("/memory.max", "/memory.current"),
                                                {"/memory.limit_in_bytes", "/memory.usage_in_bytes"}}) {
      const std::int64_t limit = number_in(group + limit_file), used = number_in(group + used_file);
      if (limit < (std::int64_t{1} << 60) && used < unlimited)
        least = std::min(least, std::max<std::int64_t>(0, limit - used + reclaimable(group)));
    }
  return least;
}

MemoryEstimate estimate_memory(layers::Network& network, int size, DType dtype) {
  MemoryEstimate estimate;
  const auto unit = static_cast<std::int64_t>(size_of(dtype));
  std::int64_t outputs = 0, largest = 0;
  const auto rows = layers::summarize(network, size, size);
  const bool drops = drops_batch_norms(network);
  for (const auto& row : rows) {
    if (!drops || !is_batch_norm(network, row)) outputs += row.output.numel();
    largest = std::max(largest, row.output.numel());
  }
  // Backward keeps nearly every output and two gradients; an image is held as bytes and as numbers.
  estimate.per_image = (outputs + 2 * largest) * unit + 3 * size * size * (1 + unit);
  // Each frozen filter also has a packed form for forward and one for backward; a transformed 3x3
  // filter (36 numbers for 9) takes four times its bytes in each.
  const Device device = network.head().weight.device();
  const bool transforms = winograd_state(device) == "on" && bf16_order_state(device, dtype) != "blocks";
  for (const auto& entry : network.named_tensors()) {
    const Tensor& t = *entry.tensor;
    const bool is_3x3 = t.rank() == 4 && t.dim(1) == 3 && t.dim(2) == 3;
    const std::int64_t derived = !t.is_sealed() ? 0 : transforms && is_3x3 ? 8 : 2;
    estimate.fixed += (1 + derived) * static_cast<std::int64_t>(t.bytes());
  }
  for (const auto& parameter : network.trained_parameters())
    estimate.fixed += 4 * static_cast<std::int64_t>(parameter.bytes());  // gradient, m, v, best value
  return estimate;
}

std::int64_t available_memory(Device device) {
  if (!device.is_host())
    return static_cast<std::int64_t>(gpu::room(device.index).free + memory_stats(device).cached);
  return std::min(system_available(), memory_left(cgroup_folders("memory")));
}

void check_memory(const MemoryEstimate& estimate, std::int64_t batch, std::int64_t available) {
  if (estimate.of_batch(batch) <= available) return;
  const std::int64_t fits = (available - estimate.fixed) / std::max<std::int64_t>(1, estimate.per_image);
  REPRISE_CHECK(fits >= 2, "training needs about {}, even with --batch 2, and {} are free",
                bytes_text(estimate.of_batch(2)), bytes_text(available));
  throw_error("--batch {}: needs about {}, and {} are free; --batch {} fits", batch,
              bytes_text(estimate.of_batch(batch)), bytes_text(available), fits);
}

std::int64_t least_batch_norm_values(layers::Network& network, int size) {
  std::int64_t least = 0;
  if (!network.is_training()) return least;
  for (const auto& row : layers::summarize(network, size, size)) {
    if (!is_batch_norm(network, row)) continue;
    const std::int64_t values = row.output.numel() / row.output[-1];
    least = least == 0 ? values : std::min(least, values);
  }
  return least;
}

void check_last_batch(const std::vector<TaskImages>& tasks, std::int64_t batch,
                      std::int64_t values_per_image) {
  const auto failing = [&](std::int64_t b) {
    return std::find_if(tasks.begin(), tasks.end(),
                        [&](const TaskImages& t) { return !works(t.second, b, values_per_image); });
  };
  const auto bad = failing(batch);
  if (bad == tasks.end()) return;
  for (std::int64_t distance = 1; distance < std::max<std::int64_t>(batch, 1024); ++distance)
    for (const std::int64_t b : {batch - distance, batch + distance})
      if (b >= 2 && failing(b) == tasks.end())
        throw_error(
            "--batch {}: the last batch of task {} ({} training images) would be one image, which leaves "
            "batch norm one "
            "value per channel; --batch {} works",
            batch, bad->first, bad->second, b);
  throw_error(
      "task {}: {} training image{} of this size leave batch norm one value per channel, whatever the "
      "--batch; a "
      "larger --size works",
      bad->first, bad->second, bad->second == 1 ? "" : "s");
}

}  // namespace reprise::clr
