// The exceptions of Reprise and the context that their messages carry.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "engine/base/export.h"

namespace reprise {

// What a user, a file or the data did wrong. what() says what came, what was expected, and where.
class REPRISE_API Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message) : std::runtime_error(message) {}
};

// A fault of Reprise itself; please report it.
class REPRISE_API InternalError : public std::logic_error {
 public:
  explicit InternalError(const std::string& message) : std::logic_error(message) {}
};

// While it lives, every Error thrown in this thread by a check ends with the line "  <what>  <value>",
// innermost scope first, of several with the same <what> the innermost alone:
// `ErrorScope scope("layer", "layer2.1.conv1");`
class REPRISE_API ErrorScope {
 public:
  ErrorScope(std::string_view what, std::string_view value);
  ~ErrorScope();
  ErrorScope(const ErrorScope&) = delete;
  ErrorScope& operator=(const ErrorScope&) = delete;

 private:
  friend std::string error_context();
  friend std::string error_context_of(std::string_view what);
  std::string_view what_, value_;
  ErrorScope* outer_;
};

// The lines of all scopes of this thread; empty outside any.
REPRISE_API std::string error_context();
// The value of the innermost scope with this <what>; empty where there is none.
REPRISE_API std::string error_context_of(std::string_view what);

}  // namespace reprise
