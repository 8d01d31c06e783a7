// From what a pickle describes to tensors. Internal to data/weights.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "data/weights/pickle.h"
#include "data/weights/state_dict.h"

namespace reprise::data {

// The bytes of a storage, exactly as many as it says; asked for once for each tensor on it.
using StorageBytes = std::function<std::span<const std::byte>(const PickleValue& storage)>;

// How many bytes a storage of supported elements takes. Throws Error on overflow.
std::uint64_t bytes_of(const PickleValue& storage);

// Finds the state dict under `root` and fills tensors, section, skipped and converted. `max_bytes` caps what
// the tensors together may take, in the file's types.
void collect_tensors(const PickleValue& root, const StorageBytes& storage_bytes, std::uint64_t max_bytes,
                     WeightFile& file);

// Checks what sys_info says: the protocol and the byte order.
void check_system(const PickleValue& system);

}  // namespace reprise::data
