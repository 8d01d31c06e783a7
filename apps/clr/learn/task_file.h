// A learned task's file: its own tensors, and everything that tells what they are.
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

struct TaskFile {
  std::string path;         // where it was read from; not written
  std::string file_sha256;  // likewise
  std::string task, method, arch, backbone_identity, backbone_file_sha256;
  std::vector<std::string> classes;  // in the order of the labels
  int size = 0;                      // of the images, in pixels, square
  std::string recipe;                // JSON: see recipe.h; empty where nobody knows it
  std::uint64_t seed = 0;
  std::map<std::string, std::string> data_digests;  // "train", "val", "test"
  int best_epoch = 0;
  std::optional<double> train_accuracy, val_accuracy, test_accuracy;  // in [0,1]
  std::string device, dtype;                                          // kind alone: "cpu", "f32"
  std::vector<data::NamedTensor> tensors;                             // in the file's layout
};

// Safetensors; equal tasks give equal bytes. Written whole or not at all.
void write_task_file(const std::string& path, const TaskFile& task);
// Throws Error where it is no task file, of another version, or its metadata is damaged.
TaskFile read_task_file(const std::string& path);
bool is_task_file(const data::WeightFile& file);

// Copies of a network's tensors, in the file's layout.
std::vector<data::NamedTensor> in_file_layout(const std::vector<layers::ConstEntry>& entries);
// The tensors that the network's method stores, in the file's layout, names sorted.
std::vector<data::NamedTensor> task_tensors_of(const layers::Network& network);
// Puts the task's tensors into a network of the same method and number of classes; throws Error listing what
// is missing, too many, or of another shape.
void apply_task(layers::Network& network, const std::vector<data::NamedTensor>& tensors);
inline void apply_task(layers::Network& network, const TaskFile& task) {
  apply_task(network, task.tensors);
}
// The task's network in evaluation mode. Throws Error where the file was learned on another backbone.
std::unique_ptr<layers::Network> restore_network(const Backbone& backbone, const TaskFile& task);

// The path of a file that holds the task's backbone: the one that the run's run.json names, else one beside
// the task file or in its run folder. Throws Error listing the places looked at, and why each was not it.
std::string find_backbone(const TaskFile& task);

// The task's backbone, of the file at `path` or, where that is empty, of the one found. For a task that was
// learned without a backbone it has only the architecture.
Backbone backbone_of(const TaskFile& task, WeightSource source, Device device, DType dtype);

// What the task costs, from its architecture, method and number of classes.
layers::TaskCost cost_of(const TaskFile& task);

}  // namespace reprise::clr
