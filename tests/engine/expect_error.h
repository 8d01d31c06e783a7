// Helpers for tests of error messages.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "engine/base/error.h"

namespace reprise::testing {

// Fails unless f throws Error with all these parts in its message.
template <class F, class... Parts>
void expect_error(F&& f, const Parts&... parts) {
  try {
    f();
  } catch (const Error& e) {
    const std::string message = e.what();
    (..., [&](const std::string& part) {
      EXPECT_NE(message.find(part), std::string::npos) << "'" << part << "' is not in\n" << message;
    }(parts));
    return;
  }
  ADD_FAILURE() << "no Error was thrown";
}

}  // namespace reprise::testing
