// How far a kernel may be from the reference in double.
#pragma once

#include "engine/base/export.h"
#include "engine/core/dtype.h"

namespace reprise {

// For every output element, as a fraction of the largest absolute value of that output.
REPRISE_API double kernel_allowance(DType dtype);

}  // namespace reprise
