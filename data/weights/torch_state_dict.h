// From what a pickle describes to tensors. Internal to data/weights.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "data/weights/pickle.h"
#include "data/weights/state_dict.h"

namespace reprise::data {

// Returns the bytes of a storage, exactly bytes_of(storage). Called once for each tensor on the
// storage.
using StorageBytes = std::function<std::span<const std::byte>(const PickleValue& storage)>;

// Returns how many bytes a storage takes. Throws Error where its elements have an unknown size, or
// on overflow.
std::uint64_t bytes_of(const PickleValue& storage);

// Finds every dictionary of tensors under `root`, at any depth, and reads all of them. Puts the one
// that `choose` returns into `file`; without `choose`, the only one. `max_bytes` caps the tensors
// together, in the file's types: a tensor that goes beyond is left unread.
void collect_tensors(const PickleValue& root, const StorageBytes& storage_bytes, std::uint64_t max_bytes,
                     const ChooseStateDict& choose, WeightFile& file);

// Checks what sys_info says: the protocol and the byte order.
void check_system(const PickleValue& system);

}  // namespace reprise::data
