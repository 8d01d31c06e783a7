// The file of a learned task: the tensors that the task
// trained, and metadata that says what they are.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/clr/learn/backbone.h"
#include "data/weights/state_dict.h"
#include "layers/module.h"
#include "layers/reprogramming/cost.h"

namespace reprise::clr {

// The version that is written. Version 1 also said what the recipe says.
inline constexpr int task_version = 2;

struct TaskFile {
  int version = task_version;  // of the file it was read from
  std::string path;            // the file it was read from; not written
  std::string file_sha256;     // of that file; not written
  std::string task, method, arch, backbone_identity;
  std::vector<std::string> classes;  // in the order of the labels
  int size = 0;                      // image height and width in pixels
  std::string recipe;                // JSON text (see recipe.h); empty or "{}": unknown
  std::uint64_t seed = 0;
  std::map<std::string, std::string> data_digests;  // "train", "val", "test"
  // The next three are empty in files of an older clr.
  std::map<std::string, std::int64_t> images;  // how many, by split
  std::string files_digest;                    // see task_data.h
  std::string instruction_set;                 // the level that decides the bits: see surroundings.h
  int best_epoch = 0;
  std::optional<double> train_accuracy, val_accuracy, test_accuracy;  // in [0,1]
  std::string packed, original_sha256;     // a packed file's form (see pack.h), and the file it was made from
  std::string device, dtype;               // the device's kind and the dtype: "cpu", "f32"
  std::vector<data::NamedTensor> tensors;  // in the file's layout (PyTorch's)
};

// Returns the task as safetensors, packed if it names a form. Equal tasks give equal bytes.
std::vector<std::byte> bytes_of(const TaskFile& task);
// Writes them, whole or not at all.
void write_task_file(const std::string& path, const TaskFile& task);
// Reads a task file. A packed one gets its network's tensors back. Throws Error if the file is no
// task file, is of another version, or has damaged metadata.
TaskFile read_task_file(const std::string& path);
bool is_task_file(const data::WeightFile& file);

// Copies the tensors that the network's method stores, in the file's layout, sorted by name.
std::vector<data::NamedTensor> task_tensors_of(const layers::Network& network);
// Copies the tensors into a network of the same method and number of classes. Throws an Error that
// lists which tensors are missing, unknown or of another shape, or names one that holds a NaN, an
// infinity or a negative variance; the network is then unchanged.
void apply_task(layers::Network& network, const std::vector<data::NamedTensor>& tensors);
inline void apply_task(layers::Network& network, const TaskFile& task) {
  apply_task(network, task.tensors);
}
// Throws Error if the task is packed. `what` needs the original file: "training".
void check_not_packed(const TaskFile& task, const std::string& what);
// Makes the task's network in evaluation mode.
// Throws Error if the task was learned on another backbone.
std::unique_ptr<layers::Network> restore_network(const Backbone& backbone, const TaskFile& task);

// Returns the label that the task learned for each of these names of classes. Throws Error for a class
// that it never learned.
std::vector<std::int64_t> learned_labels(const TaskFile& task, const std::vector<std::string>& classes);

// Returns the path of a weight file with the task's backbone: the copy or the path in the run's
// run.json, else a file beside the task file or in its run folder. Throws an Error that lists every
// place and why it did not fit.
std::string find_backbone(const TaskFile& task);

// Loads the task's backbone from `source`; if its path is empty, from find_backbone(task).
// For a task learned without a backbone returns only the architecture.
Backbone backbone_of(const TaskFile& task, WeightSource source, Device device, DType dtype);

// Computes what the task costs, from its architecture, method and number of classes.
layers::TaskCost cost_of(const TaskFile& task);

}  // namespace reprise::clr
