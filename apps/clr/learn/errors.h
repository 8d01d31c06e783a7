// What learning throws beside Error.
#pragma once

#include <fmt/format.h>

#include <string>

#include "engine/base/error.h"

namespace reprise::clr {

// A value that cannot be used. Commands name it as their option and end with wrong usage.
struct BadValue : Error {
  // `field`: of the recipe ("lr-step") or another argument ("backbone"). `value`: empty where it is missing.
  BadValue(std::string of_field, std::string given, std::string wanted)
      : Error(fmt::format("{} {}: expected {}", of_field, given.empty() ? "is missing" : given, wanted)),
        field(std::move(of_field)),
        value(std::move(given)),
        expected(std::move(wanted)) {}
  // Where no other value would do: `why` continues a sentence that begins with the field.
  BadValue(std::string of_field, const std::string& why)
      : Error(of_field + " " + why), field(std::move(of_field)) {}
  std::string field, value, expected;
};

// Thrown between two steps, or between two images, after everything was saved. The message says how to go on.
struct Interrupted : Error {
  using Error::Error;
};

}  // namespace reprise::clr
