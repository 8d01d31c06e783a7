// How far a kernel's output may be from the reference in double.
#pragma once

#include "engine/base/export.h"
#include "engine/core/dtype.h"

namespace reprise {

// Returns the allowed error of an element, as a fraction of its output's largest absolute value.
REPRISE_API double kernel_allowance(DType dtype);

}  // namespace reprise
