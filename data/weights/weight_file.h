// Reads and writes weight files: safetensors, and the state dicts of torch.save in all three forms.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "data/weights/state_dict.h"

namespace reprise::data {

// Reads a weight file. The form is recognised by the content, never by the extension, and nothing
// in the file is executed. `choose` decides between several state dicts; without it such a file has
// candidates, and none is chosen. Throws Error where the file is no weight file (and says what it
// looks like), is damaged, or holds no state dict.
REPRISE_API WeightFile read_weights(const std::string& path, const ChooseStateDict& choose = {});
// Does the same on bytes in memory; `name` stands for the path.
REPRISE_API WeightFile parse_weights(std::span<const std::byte> bytes, const std::string& name,
                                     const ChooseStateDict& choose = {});

// Writes a safetensors file. Equal tensors and metadata give equal bytes. Names must be unique;
// tensors are in the file's layout. With `halves`, f32 numbers are rounded to f16.
REPRISE_API void write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                                   const std::map<std::string, std::string>& metadata = {});
REPRISE_API std::vector<std::byte> to_safetensors(const std::vector<NamedTensor>& tensors,
                                                  const std::map<std::string, std::string>& metadata = {},
                                                  bool halves = false);

// Writes a zip of less than 4 GiB, which torch.load(weights_only=True) reads as an OrderedDict in
// the order of `tensors`.
REPRISE_API void write_pth(const std::string& path, const std::vector<NamedTensor>& tensors);
REPRISE_API std::vector<std::byte> to_pth(const std::vector<NamedTensor>& tensors);

}  // namespace reprise::data
