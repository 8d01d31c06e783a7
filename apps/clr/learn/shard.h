// Which part of the tasks a process takes, where many processes share them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "data/sets/task.h"

namespace reprise::clr {

struct Shard {
  std::size_t index = 0;  // from 0
  int count = 1;
};

// Reads "3/8", the third of eight shards, or "auto": the place of this process in a Slurm array,
// times its rank in a step (Open MPI's and PMI's variables, else Slurm's). Throws BadValue for
// another text, for "auto" without such variables, and for an array with gaps.
Shard shard_of(const std::string& text);

// Returns how many processes of the same launch precede this one on its machine; 0 without a launcher.
int local_rank();

// Returns the work of a task in training images: an image that is only evaluated counts 0.35.
double work_of(std::int64_t train_images, std::int64_t val_images);
inline double work_of(const data::Task& task) {
  return work_of(std::ssize(task.train), std::ssize(task.val));
}

// Returns the places in `work` of each shard's tasks. Takes the tasks from the longest to the
// shortest and gives each to the shard with the least work so far, the first of several.
std::vector<std::vector<std::size_t>> plan_shards(const std::vector<double>& work, int count);

}  // namespace reprise::clr
