// Ranks the tasks of a map for an image, and lets the nearest tasks' networks answer.
#include <algorithm>
#include <cmath>

#include "apps/clr/learn/run_network.h"
#include "apps/clr/learn/step.h"
#include "apps/clr/learn/task_map.h"
#include "engine/base/parallel.h"
#include "engine/ops/softmax.h"
#include "layers/network.h"

namespace reprise::clr {
namespace {

// Runs one task's network over some of the images, and adds its answer to each.
void answer(layers::Network& network, std::size_t task, const data::ImageStore& images,
            const std::vector<std::int64_t>& indices, std::vector<InferredImage>& all) {
  const auto batch = static_cast<std::size_t>(eval_batch);
  for (std::size_t at = 0; at < indices.size(); at += batch) {
    const auto part = std::span(indices).subspan(at, std::min(batch, indices.size() - at));
    const Tensor logits = outputs_of(network, images.batch(part)).logits;
    check_logits(logits, [&](std::int64_t row) {
      return images.samples()[static_cast<std::size_t>(part[static_cast<std::size_t>(row)])].path;
    });
    const Tensor p = ops::softmax(logits).to(cpu_device).to(DType::f64);
    const auto classes = static_cast<std::size_t>(p.dim(1));
    for (std::size_t i = 0; i < part.size(); ++i) {
      const auto row = p.values<double>().subspan(i * classes, classes);
      const auto best = std::ranges::max_element(row);
      InferredImage& image = all[static_cast<std::size_t>(part[i])];
      const auto ranked = std::ranges::find(image.ranked, task, &RankedTask::task);
      image.answers.push_back({*ranked, best - row.begin(), *best});
    }
  }
}

}  // namespace

std::vector<RankedTask> TaskRanking::rank(std::span<const std::int32_t> row) const {
  std::vector<RankedTask> ranked;
  for (const double d : distances_.to_tasks(row)) ranked.push_back({ranked.size(), d, 0});
  std::ranges::stable_sort(ranked, {}, &RankedTask::distance);
  double sum = 0;
  for (RankedTask& task : ranked)
    sum += task.probability = std::exp(-(task.distance - ranked[0].distance) / (2 * map_.temperature));
  for (RankedTask& task : ranked) task.probability /= sum;
  return ranked;
}

double TaskRanking::limit(std::size_t task, double share) const {
  const std::vector<double>& own = map_.tasks[task].distances;
  if (share >= 1) return HUGE_VAL;
  const auto at = static_cast<std::size_t>(std::ceil(share * static_cast<double>(own.size())));
  return own[std::max<std::size_t>(at, 1) - 1];
}

std::vector<InferredImage> infer(const Backbone& backbone, const TaskMap& map,
                                 const std::vector<TaskFile>& files, const data::ImageStore& images,
                                 const FeatureRows& features, const InferenceOptions& options) {
  const TaskRanking ranking(map);
  std::vector<InferredImage> all(static_cast<std::size_t>(images.count()));
  parallel_for(images.count(), 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      all[static_cast<std::size_t>(i)].ranked = ranking.rank(features.row(i));
  });
  std::vector<std::vector<std::int64_t>> of_task(map.tasks.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto nearest =
        std::span(all[i].ranked)
            .first(std::min(all[i].ranked.size(), static_cast<std::size_t>(options.shortlist)));
    for (const RankedTask& task : nearest)
      if (task.distance <= ranking.limit(task.task, options.refuse))
        of_task[task.task].push_back(static_cast<std::int64_t>(i));
  }
  for (std::size_t t = 0; t < of_task.size(); ++t)
    if (!of_task[t].empty()) answer(*restore_network(backbone, files[t]), t, images, of_task[t], all);
  for (InferredImage& image : all)
    std::ranges::stable_sort(image.answers, std::greater(), [](const InferredImage::Answer& a) {
      return a.task.probability * a.probability;
    });
  return all;
}

}  // namespace reprise::clr
