// The safetensors format: u64 length of the header, a JSON header, the tensors' bytes. Internal to
// data/weights.
#pragma once

#include <cstddef>
#include <span>

#include "data/weights/state_dict.h"

namespace reprise::data {

// Whether the file begins like one.
bool is_safetensors(std::span<const std::byte> bytes);
// Fills tensors, metadata, skipped, converted.
void read_safetensors(std::span<const std::byte> bytes, WeightFile& file);

}  // namespace reprise::data
