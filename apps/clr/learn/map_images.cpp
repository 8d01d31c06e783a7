// Computes the features of a task map's images, and chooses those that calibrate it.
#include <algorithm>
#include <numeric>

#include "apps/clr/learn/run_network.h"
#include "apps/clr/learn/task_map.h"
#include "layers/network.h"

namespace reprise::clr {
namespace {

// Returns at most `most` of the rows, evenly spaced.
std::vector<std::int64_t> spaced(const std::vector<std::int64_t>& rows, std::size_t most) {
  if (rows.size() <= most) return rows;
  std::vector<std::int64_t> kept(most);
  for (std::size_t i = 0; i < most; ++i) kept[i] = rows[i * rows.size() / most];
  return kept;
}

}  // namespace

MappedImages map_images(const Backbone& backbone, const data::ImageStore& images,
                        const data::Progress& progress) {
  const auto network = backbone.pretrained();
  MappedImages mapped;
  mapped.labels = images.labels();
  for (std::int64_t at = 0; at < images.count(); at += eval_batch) {
    std::vector<std::int64_t> indices(static_cast<std::size_t>(std::min(eval_batch, images.count() - at)));
    std::iota(indices.begin(), indices.end(), at);
    const Tensor batch = images.batch(indices);
    mapped.features.append(unit_rows(outputs_of(*network, batch).features));
    mapped.colours.append(colour_rows(batch));
    if (progress) progress(at + std::ssize(indices), images.count());
  }
  return mapped;
}

Halves halves_of(const FeatureRows& rows, bool is_halved) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(rows.count()));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::ranges::stable_sort(
      order, [](const auto& a, const auto& b) { return std::ranges::lexicographical_compare(a, b); },
      [&](std::int64_t i) { return rows.row(i); });
  if (!is_halved) return {spaced(order, most_calibrating), order};
  Halves halves;
  for (std::size_t i = 0; i < order.size(); ++i)
    (i % 2 == 0 ? halves.calibrating : halves.reported).push_back(order[i]);
  halves.calibrating = spaced(halves.calibrating, most_calibrating);
  return halves;
}

}  // namespace reprise::clr
