// The three forms in which torch.save has written state dicts: each function reads one form into
// `file`. Internal to data/weights.
#pragma once

#include <cstddef>
#include <span>

#include "data/weights/state_dict.h"

namespace reprise::data {

// Since 1.6: a zip with data.pkl and one entry for each storage.
void read_torch_zip(std::span<const std::byte> bytes, const ChooseStateDict& choose, WeightFile& file);
// From 0.1.10 on: pickles (magic, protocol, system, object, storage keys), then the storages.
bool is_torch_legacy(std::span<const std::byte> bytes);
void read_torch_legacy(std::span<const std::byte> bytes, const ChooseStateDict& choose, WeightFile& file);
// Before: a tar with the members sys_info, pickle, tensors, storages.
void read_torch_tar(std::span<const std::byte> bytes, const ChooseStateDict& choose, WeightFile& file);

}  // namespace reprise::data
