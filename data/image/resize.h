// Resizes images bilinearly, to Pillow's pixels.
#pragma once

#include "data/image/image.h"

namespace reprise::data {

// Returns the image with width x height pixels; the aspect ratio may change. The filter is a
// triangle, as wide as a reduction needs. The horizontal pass comes first, and its output is
// rounded to 8 bits. The pixels are those of Image.resize((width, height), BILINEAR) up to Pillow
// 12. Pillow 13 takes some sizes vertically first, which rounds a few values otherwise. Throws
// Error for a size below 1 and for an empty image.
REPRISE_API Image resize_bilinear(const Image& image, int width, int height);

}  // namespace reprise::data
