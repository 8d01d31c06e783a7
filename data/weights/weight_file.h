// Reads and writes weight files: safetensors, and the state dicts of torch.save in all three forms.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "data/weights/state_dict.h"

namespace reprise::data {

// Recognised by content, never by extension. Nothing in the file is executed. Throws Error where it is not a
// weight file (and says what it looks like), is damaged, or holds more than a state dict.
REPRISE_API WeightFile read_weights(const std::string& path);
// The same on bytes in memory; `name` stands for the path.
REPRISE_API WeightFile parse_weights(std::span<const std::byte> bytes, const std::string& name);

// Equal tensors and metadata give equal bytes. Names must be unique; tensors are in the file's layout.
REPRISE_API void write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                                   const std::map<std::string, std::string>& metadata = {});
REPRISE_API std::vector<std::byte> to_safetensors(const std::vector<NamedTensor>& tensors,
                                                  const std::map<std::string, std::string>& metadata = {});

// A zip that torch.load(weights_only=True) reads as an OrderedDict; the order of `tensors` is kept. Less than
// 4 GiB.
REPRISE_API void write_pth(const std::string& path, const std::vector<NamedTensor>& tensors);
REPRISE_API std::vector<std::byte> to_pth(const std::vector<NamedTensor>& tensors);

}  // namespace reprise::data
