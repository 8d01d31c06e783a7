// clr eval --map: how well the run's map infers tasks, and what accuracy is left without being told.
#pragma once

#include <string>
#include <vector>

#include "apps/clr/commands/commands.h"
#include "apps/clr/learn/step.h"
#include "apps/clr/learn/task_map.h"

namespace reprise::clr {

// Counts of one task's images. Shares are counts divided by `images`, but for `entropy`.
struct MapRow {
  std::string task, split;
  std::int64_t images = 0;
  std::int64_t told = 0;    // right class, the task being told
  std::int64_t untold = 0;  // right task and class, the task being inferred
  std::int64_t task_right = 0, in_first_three = 0;
  std::int64_t same_name = 0;                    // another task, but a class of the right name
  std::int64_t refused = 0;                      // taken for an image of no learned task
  std::int64_t colour = 0;                       // right task by colours only
  std::int64_t entropy = 0, entropy_images = 0;  // right task by the least entropy of all heads
  std::vector<std::int64_t> inferred;            // how many went to each task of the map
};

class MapEvaluation {
 public:
  // Reads the map. The backbone must outlive this. Throws Error where the map does not fit the run.
  MapEvaluation(const Backbone& backbone, const RunFolder& folder, const InferenceOptions& options);
  // Evaluates one task's images, labelled as the task learned them; `told`: its network's predictions.
  // Of a validation split that calibrated one half, counts only the other.
  void add(const TaskFile& file, const std::string& split, const data::ImageStore& images,
           const std::vector<PredictedLabel>& told);
  // Evaluates images of no learned task.
  void add_unknown(const data::ImageStore& images);
  // Writes taskmap.csv and taskmap-confusions.csv into the run folder.
  void write() const;
  Json json() const;
  std::string text() const;

 private:
  // Returns how far an image lies outside of its nearest tasks: the least distance / limit. Above 1
  // it is refused.
  double outside(const InferredImage& image) const;
  std::int64_t right_by_entropy(const data::ImageStore& images, std::size_t task,
                                const std::vector<std::int64_t>& indices);
  // The share of pairs (known, unknown) in which the unknown image lies farther outside (AUROC), and
  // the share of unknown images that are accepted when 95 % of the known ones are.
  struct Separation {
    double auroc = 0, false_acceptance = 0;
  };
  Separation separation() const;

  const Backbone& backbone_;
  RunFolder folder_;
  InferenceOptions options_;
  TaskMap map_;
  std::vector<TaskFile> files_;
  std::vector<std::unique_ptr<layers::Network>> networks_;
  TaskRanking ranking_;
  ClassDistances colours_;
  std::vector<MapRow> rows_;
  std::vector<double> known_, unknown_;  // outside() of each image
};

}  // namespace reprise::clr
