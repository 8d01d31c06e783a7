// The task map of a run: which learned task an image is likely to be from. Made by `clr map` from the
// images of the learned tasks, and read by `clr predict` and `clr eval --map`. It lies beside the
// run's tasks and changes none of them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apps/clr/learn/backbone.h"
#include "apps/clr/learn/class_distances.h"
#include "apps/clr/learn/run_folder.h"
#include "apps/clr/learn/task_file.h"
#include "data/loader/image_store.h"

namespace reprise::clr {

inline constexpr std::int64_t least_calibrating = 20;  // validation images that a task needs
inline constexpr std::size_t most_calibrating = 256;   // validation images of a task that are kept

struct MappedTask {
  std::string name;
  std::vector<std::string> classes;
  std::string learned_from;  // the digest of the training images in the task's file; may be empty
  // Without a test split one half of the validation images calibrates, and eval reports the other.
  bool is_halved = false;
  std::vector<double> distances;  // squared, of the calibrating images to their own task, ascending
  FeatureRows calibrating;        // their features, rounded to bf16; empty unless they were read
};

struct TaskMap {
  std::string arch, identity;  // of the backbone
  int size = 0;                // image height and width in pixels
  // What decides the bits of the features: device, dtype, instruction_set, winograd, bf16_order.
  std::map<std::string, std::string> conditions;
  FeatureSums features, colours;  // of the backbone's pooled features; of colour_rows, to compare with
  std::vector<MappedTask> tasks;  // sorted by the bytes of their names, as features.tasks
  double temperature = 1;         // p(task) is proportional to exp(-distance / (2 temperature))

  // Returns the task's place, or the place to insert it at.
  std::size_t place(const std::string& task) const;
  bool has(const std::string& task) const {
    return place(task) < tasks.size() && tasks[place(task)].name == task;
  }
};

// Returns a map without tasks. Throws Error for a backbone without weights: its tasks share none.
TaskMap empty_map(const Backbone& backbone, int size);

// The features of one split.
struct MappedImages {
  FeatureRows features, colours;
  std::vector<std::int64_t> labels;
};
// Runs the bare backbone over all images, in evaluation mode.
MappedImages map_images(const Backbone& backbone, const data::ImageStore& images,
                        const data::Progress& progress = {});

// Splits validation images by their features, whatever the images' order: all calibrate and are
// reported, or, halved, every second one of the sorted rows calibrates and the others are reported.
struct Halves {
  std::vector<std::int64_t> calibrating, reported;  // at most most_calibrating; all
};
Halves halves_of(const FeatureRows& rows, bool is_halved);

// Adds a task that the map does not have. Throws Error where it has fewer than least_calibrating
// validation images, or as FeatureSums::insert does. Call calibrate afterwards.
void add_task(TaskMap& map, const TaskFile& file, const MappedImages& train, const MappedImages& val,
              bool is_halved);
// Subtracts a task. Throws Error where these are not its training images.
void remove_task(TaskMap& map, const std::string& task, const MappedImages& train);
// Computes every task's distances and the temperature, which has the least mean cross-entropy of the
// tasks of the calibrating images; every task weighs the same. Returns, for each task, the share of
// its calibrating images to which it is the nearest.
std::vector<double> calibrate(TaskMap& map);

// Returns the bytes of the task's classes and thresholds in the map, or of the scatters of all tasks.
std::int64_t bytes_of_task(const TaskMap& map, std::size_t task);
std::int64_t bytes_of_run(const TaskMap& map);

bool is_task_map(const data::WeightFile& file);
// Return RUN/taskmap.safetensors, and the path of the calibrating features beside a map.
std::string map_path(const RunFolder& folder);
std::string calibration_path(const std::string& map_path);
// Reads the map. Throws Error, with what to do, where there is none or it is damaged.
TaskMap read_task_map(const std::string& path, bool with_calibration = false);
// Writes both files, or removes them if the map has no task. A process killed meanwhile leaves the
// old map or the new one. `fewer`: a task was removed.
void write_task_map(const RunFolder& folder, const TaskMap& map, bool fewer = false);

// Throws Error, with what to do, where the map was made with another backbone, size, or conditions
// than these.
void check_fits(const TaskMap& map, const RunFolder& folder, const Backbone& backbone, int size);
// Returns the files of the map's tasks, in its order. Throws Error, with what to do, where a task was
// learned anew from other images or classes, or the map holds tasks that the run has not learned or,
// unless `may_lack`, the other way round.
std::vector<TaskFile> task_files_of(const TaskMap& map, const RunFolder& folder, bool may_lack = false);

// A task as the map sees it from an image.
struct RankedTask {
  std::size_t task = 0;    // its place in the map
  double distance = 0;     // squared Mahalanobis distance to its nearest class mean
  double probability = 0;  // over the map's tasks
};
class TaskRanking {
 public:
  explicit TaskRanking(const TaskMap& map) : map_(map), distances_(map.features) {}
  // Returns all tasks, nearest first.
  std::vector<RankedTask> rank(std::span<const std::int32_t> row) const;
  // Returns the distance that a share of a task's own validation images do not exceed; with a share
  // of 1 infinity.
  double limit(std::size_t task, double share) const;
  double shrinkage() const { return distances_.shrinkage(); }

 private:
  const TaskMap& map_;
  ClassDistances distances_;
};

struct InferenceOptions {
  int shortlist = 3;     // how many of the nearest tasks' networks run for an image
  double refuse = 0.95;  // tasks whose limit(refuse) an image exceeds leave its shortlist
};
struct InferredImage {
  struct Answer {
    RankedTask task;
    std::int64_t label = 0;
    double probability = 0;  // of the class, from the task's network
  };
  std::vector<RankedTask> ranked;  // all tasks, nearest first
  // One of each shortlisted task, the largest p(task) p(class) first. Empty: none of the learned tasks.
  std::vector<Answer> answers;
};
// Infers task and class of every image. Each network runs once over all its images; no answer
// depends on the other images.
std::vector<InferredImage> infer(const Backbone& backbone, const TaskMap& map,
                                 const std::vector<TaskFile>& files, const data::ImageStore& images,
                                 const FeatureRows& features, const InferenceOptions& options);

}  // namespace reprise::clr
