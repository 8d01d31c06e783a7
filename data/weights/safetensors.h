// Reads the safetensors format: the header's length (u64), the header (JSON), the tensors' bytes.
// Internal to data/weights.
#pragma once

#include <cstddef>
#include <span>

#include "data/weights/state_dict.h"

namespace reprise::data {

// Returns whether the file begins like a safetensors file.
bool is_safetensors(std::span<const std::byte> bytes);
// Fills tensors, metadata, unread, skipped and converted.
void read_safetensors(std::span<const std::byte> bytes, WeightFile& file);

}  // namespace reprise::data
