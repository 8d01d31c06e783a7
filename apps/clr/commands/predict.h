// What predicting by one task and predicting by a run's map share.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "apps/clr/commands/commands.h"
#include "data/loader/image_store.h"

namespace reprise::clr {

struct PredictOptions {
  std::string task, run, backbone, list;
  std::vector<std::string> images;
  int top = 5, shortlist = 3;
  double refuse = 0.95;
  bool csv = false, certify = false;
};

// Returns the paths of all images in a folder and the folders inside it. Throws Error where there is none.
std::vector<std::string> images_in(const std::string& folder);

// Decodes the images in parts that memory can hold and calls `use` with each part. Leaves out those
// that cannot be read, and prints why.
void for_images(const std::vector<std::string>& paths, int size,
                const std::function<void(const data::ImageStore&)>& use);

// Adds --shortlist and --refuse, which need another option.
void add_inference_options(Command command, int& shortlist, double& refuse, Option needed);

// Predicts task and class of each image by the map of o.run, and prints them.
void predict_by_map(Common& common, const PredictOptions& o, const std::vector<std::string>& paths);

}  // namespace reprise::clr
