// Reads tar archives, as the first versions of torch.save wrote them. Internal to data/weights.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>

namespace reprise::data {

bool is_tar(std::span<const std::byte> bytes);

// Returns the regular files by name. Links, folders and extended headers are passed over. Throws
// Error where the archive is damaged or a name comes twice. `bytes` must outlive the result.
std::map<std::string, std::span<const std::byte>> read_tar(std::span<const std::byte> bytes);

}  // namespace reprise::data
