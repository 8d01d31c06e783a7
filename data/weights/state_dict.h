// What a weight file holds.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/tensor.h"

namespace reprise::data {

// On the cpu device, in the file's layout: conv filters (O,I,R,S), depthwise (C,1,R,S), images (N,C,H,W).
struct NamedTensor {
  std::string name;
  Tensor tensor;
};

struct WeightFile {
  std::vector<NamedTensor> tensors;             // in the file's order, names unique
  std::map<std::string, std::string> metadata;  // safetensors only
  std::string path;
  std::string format;  // "safetensors", "pth-zip", "pth-legacy" or "pth-tar"
  std::string file_sha256;
  std::string section;                 // the key that holds the tensors, such as "state_dict"; "" at the top
  std::vector<std::string> skipped;    // "best_prec1: a number (91.78)"
  std::vector<std::string> converted;  // "fc.weight: f16, read as f32"

  // Null where there is no such tensor.
  REPRISE_API const Tensor* find(std::string_view name) const;
};

}  // namespace reprise::data
