// The check that a message holds a part, for the tests of limits.
#pragma once

#include <gtest/gtest.h>

#include <string>

namespace reprise::data::testing {

// Expects the part in the text; for an empty part, an empty text.
inline void expect_says(const std::string& text, const std::string& part) {
  EXPECT_TRUE(part.empty() ? text.empty() : text.find(part) != text.npos)
      << "expected '" << part << "', got: " << text.substr(0, 300);
}

}  // namespace reprise::data::testing
