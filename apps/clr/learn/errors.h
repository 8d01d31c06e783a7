// The exceptions that learning throws besides Error.
#pragma once

#include <fmt/format.h>

#include <string>

#include "engine/base/error.h"

namespace reprise::clr {

// A value that cannot be used. A command names the option in its message and ends with wrong usage.
struct BadValue : Error {
  // `of_field`: the recipe's field ("lr-step") or another argument ("backbone").
  // `given`: its value; empty if none was given. `wanted`: the values that are allowed.
  BadValue(std::string of_field, std::string given, std::string wanted)
      : Error(fmt::format("{} {}: expected {}", of_field, given.empty() ? "is missing" : given, wanted)),
        field(std::move(of_field)),
        value(std::move(given)),
        expected(std::move(wanted)) {}
  // For an error that another value would not mend.
  // `why` continues a sentence that begins with the field.
  BadValue(std::string of_field, const std::string& why)
      : Error(of_field + " " + why), field(std::move(of_field)) {}
  std::string field, value, expected;
};

// Thrown between two steps or two images, after everything was
// saved. The message says how to continue.
struct Interrupted : Error {
  using Error::Error;
};

}  // namespace reprise::clr
