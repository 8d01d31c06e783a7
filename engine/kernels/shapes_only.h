// The shapes of an op's results without computing them, for tables of layers.
#pragma once

#include "engine/base/export.h"

namespace reprise {

// While an instance lives, this thread runs no kernels: results have shapes, but no values.
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
