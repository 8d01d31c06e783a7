#include "engine/base/error.h"

#include "engine/base/check.h"

namespace reprise {
namespace {
thread_local ErrorScope* innermost = nullptr;
}

ErrorScope::ErrorScope(std::string_view what, std::string_view value)
    : what_(what), value_(value), outer_(innermost) {
  innermost = this;
}
ErrorScope::~ErrorScope() {
  innermost = outer_;
}

std::string error_context() {
  std::string text;
  for (const ErrorScope* s = innermost; s != nullptr; s = s->outer_) {
    bool said = false;
    for (const ErrorScope* i = innermost; i != s; i = i->outer_) said |= i->what_ == s->what_;
    if (!said) text += fmt::format("\n  {:<7} {}", s->what_, s->value_);
  }
  return text;
}

std::string error_context_of(std::string_view what) {
  for (const ErrorScope* s = innermost; s != nullptr; s = s->outer_)
    if (s->what_ == what) return std::string(s->value_);
  return {};
}

void raise_error(std::string message) {
  throw Error(message + error_context());
}

void raise_internal(const char* file, int line, const char* what, std::string message) {
  throw InternalError(
      fmt::format("internal error: {}\n  at      {}:{} ({}){}", message, file, line, what, error_context()));
}

}  // namespace reprise
