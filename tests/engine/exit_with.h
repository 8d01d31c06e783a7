// For death tests of what a process reads once, as it reads its environment.
#pragma once

#include <cstdlib>
#include <iostream>

#include "engine/base/error.h"

namespace reprise::testing {

// Sets the variable and ends the process: with status 0 if `wanted` returns true, 1 if false. If it throws Error,
// prints the message and ends with status 2.
template <class F>
[[noreturn]] void exit_with(const char* variable, const char* value, F wanted) {
  setenv(variable, value, 1);
  try {
    std::exit(wanted() ? 0 : 1);
  } catch (const Error& e) {
    std::cerr << e.what();
    std::exit(2);
  }
}

}  // namespace reprise::testing
