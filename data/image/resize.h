// Bilinear resizing, equal to Pillow's to the bit.
#pragma once

#include "data/image/image.h"

namespace reprise::data {

// The image as width x height, the aspect ratio not kept: a triangle filter as wide as the reduction needs,
// horizontal pass first, 8 bits between the passes. The same pixels as Pillow's Image.resize((width, height),
// BILINEAR) up to Pillow 12 (13 takes some sizes vertically first, and rounds a few values otherwise).
// Throws Error for a size below 1 or an empty image.
REPRISE_API Image resize_bilinear(const Image& image, int width, int height);

}  // namespace reprise::data
