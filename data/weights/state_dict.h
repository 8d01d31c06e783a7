// What a weight file holds.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/file_layout.h"

namespace reprise::data {

using reprise::NamedTensor;  // on the cpu device

// One dictionary of tensors.
struct StateDict {
  std::string section;               // the keys that lead to it: "state_dict", "model.net"; "" at the top
  std::vector<NamedTensor> tensors;  // in the file's order, names unique
  std::map<std::string, std::string> unread;  // its other entries by name, and why: "a sparse tensor"
  std::vector<std::string> converted;         // "fc.weight: f16, read as f32"

  // Returns null where there is no such tensor.
  REPRISE_API const Tensor* find(std::string_view name) const;
};

// The state dict of a file: the chosen one of its candidates. `section` and `tensors` are empty
// where none was chosen.
struct WeightFile : StateDict {
  std::vector<StateDict> candidates;            // of a file with several state dicts: those not chosen
  std::map<std::string, std::string> metadata;  // safetensors only
  std::string path;
  std::string format;  // "safetensors", "pth-zip", "pth-legacy" or "pth-tar"
  std::string file_sha256;
  std::vector<std::string> skipped;  // "best_prec1: a number (91.78)"
};

// Chooses among the state dicts of a torch.save file, of which there is at least one: returns an
// index, or a number beyond the last for none of them. May throw. A safetensors file has one, and
// nothing is asked.
using ChooseStateDict = std::function<std::size_t(const std::vector<StateDict>&)>;

}  // namespace reprise::data
