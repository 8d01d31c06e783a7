// Reads a folder of images for a part of the audit.
#pragma once

#include <string>
#include <vector>

#include "engine/core/tensor.h"

namespace reprise::clr {

// Reads `count` images (0: all) of the folder and its subfolders, evenly spread over it in the order of
// their names, as u8 (N,size,size,3). Adds their paths. Throws Error if there is none.
Tensor read_folder(const std::string& folder, int count, int size, std::vector<std::string>& paths);

}  // namespace reprise::clr
