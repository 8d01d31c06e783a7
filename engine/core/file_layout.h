// How a tensor's dimensions are ordered in files, which all have PyTorch's layout.
#pragma once

#include <cstdint>

namespace reprise {

// plain: the same in memory and file.  conv: memory (O,R,S,I), file (O,I,R,S).  depthwise: memory (R,S,C),
// file (C,1,R,S).  images: memory (N,H,W,C), file (N,C,H,W).
enum class FileLayout : std::uint8_t { plain, conv, depthwise, images };

}  // namespace reprise
