// Identifies a backbone, whatever form of file it is in.
#pragma once

#include <string>
#include <vector>

#include "data/weights/state_dict.h"

namespace reprise::data {

// Returns the SHA-256, in 64 lower-case digits, of the line "reprise backbone 1\n" and then of each
// tensor, in the order of the names' bytes:
//   u64  number of bytes of the name,  the name
//   u64  number of bytes of the dtype's name,  that name ("f32")
//   u64  rank,  u64 each dimension, outermost first
//   the elements in the file's layout
// All numbers are little-endian. The caller passes only the body: no head, no num_batches_tracked.
// Throws Error where a name comes twice.
REPRISE_API std::string backbone_identity(const std::vector<NamedTensor>& body);

}  // namespace reprise::data
