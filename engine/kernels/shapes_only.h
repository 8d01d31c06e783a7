// What an op would give, without computing it.
#pragma once

#include "engine/base/export.h"

namespace reprise {

// While it lives, kernels of this thread are chosen but not run: results have their shapes, and no values.
class REPRISE_API ShapesOnly {
 public:
  ShapesOnly();
  ~ShapesOnly();
  ShapesOnly(const ShapesOnly&) = delete;
  ShapesOnly& operator=(const ShapesOnly&) = delete;

 private:
  bool before_;
};

}  // namespace reprise
