// The example tasks: for each its name, its classes, and a
// function that draws one image of a class.
#pragma once

#include <string>
#include <vector>

#include "apps/clr/demo/demo_canvas.h"

namespace reprise::clr {

struct DemoTask {
  std::string name;
  std::vector<std::string> classes;
  data::Image (*draw)(int label, int size, RandomStream& random);
};

// Returns all tasks. The first is the one to pretrain on: many shapes, fillings and colours.
const std::vector<DemoTask>& demo_tasks();

}  // namespace reprise::clr
