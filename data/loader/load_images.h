// Images in memory, in one call.
#pragma once

#include <string>
#include <vector>

#include "data/sets/find_tasks.h"
#include "engine/core/tensor.h"

namespace reprise::data {

// Decodes the files and resizes them: u8 (N,size,size,3), on the cpu. Throws Error, with the list,
// where files cannot be read.
REPRISE_API Tensor load_images(const std::vector<std::string>& files, int size);

struct LabelledImages {
  Tensor images, labels;  // u8 (N,size,size,3) and i64 (N), on the cpu; a split may be empty
};
struct LoadedTask {
  std::vector<std::string> classes;
  LabelledImages train, val, test;
};
// Loads all images of a task: of DIR/<class>/<image>, or of any other layout that holds one task
// (find_tasks). Without a val folder a share of the training images validates. Throws Error where
// files cannot be read, with the list, or where the path holds several tasks: options.tasks chooses.
REPRISE_API LoadedTask load_task(const std::string& path, int size, const SetOptions& options = {});

}  // namespace reprise::data
