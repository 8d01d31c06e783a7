// The exceptions of Reprise, and the context that their messages carry.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "engine/base/export.h"

namespace reprise {

// A mistake of a user, a file or the data. what() names the argument and what was
// expected of it, and ends with the context (ErrorScope).
class REPRISE_API Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message) : std::runtime_error(message) {}
};

// A fault of Reprise itself; please report it.
class REPRISE_API InternalError : public std::logic_error {
 public:
  explicit InternalError(const std::string& message) : std::logic_error(message) {}
};

// While an instance lives, every error of check.h that this thread throws ends with a line of
// `what` and `value`: `ErrorScope scope("layer", "layer2.1.conv1");`. Inner scopes come first;
// of several with the same `what` only the innermost is shown. Both texts must outlive the scope.
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

// Returns the lines of this thread's scopes; empty outside any scope.
REPRISE_API std::string error_context();
// Returns the value of the innermost scope with this `what`; empty if there is none.
REPRISE_API std::string error_context_of(std::string_view what);

}  // namespace reprise
