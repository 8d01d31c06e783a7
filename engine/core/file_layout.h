// The order of a tensor's dimensions in files, which all have PyTorch's layout.
#pragma once

#include <cstdint>

namespace reprise {

//              in memory   in a file
//   plain      any         the same
//   conv       (O,R,S,I)   (O,I,R,S)
//   depthwise  (R,S,C)     (C,1,R,S)
//   images     (N,H,W,C)   (N,C,H,W)
enum class FileLayout : std::uint8_t { plain, conv, depthwise, images };

}  // namespace reprise
