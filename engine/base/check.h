// Checks, for sources only (public headers do not include fmt). A message is an fmt format string
// with its arguments. Every error carries the context of the current ErrorScopes.
#pragma once

#include <fmt/format.h>

#include "engine/base/error.h"

namespace reprise {

[[noreturn]] REPRISE_API void raise_error(std::string message);
[[noreturn]] REPRISE_API void raise_internal(const char* file, int line, const char* what,
                                             std::string message);

template <class... Args>
[[noreturn]] void throw_error(fmt::format_string<Args...> format, Args&&... args) {
  raise_error(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace reprise

// For mistakes of a user, a file or the data: throws reprise::Error unless the condition holds.
#define REPRISE_CHECK(condition, ...)      \
  do {                                     \
    if (!(condition)) [[unlikely]]         \
      ::reprise::throw_error(__VA_ARGS__); \
  } while (false)

// For faults of Reprise itself: throws InternalError with file and line unless the condition holds.
#define REPRISE_INVARIANT(condition, ...)                                                    \
  do {                                                                                       \
    if (!(condition)) [[unlikely]]                                                           \
      ::reprise::raise_internal(__FILE__, __LINE__, #condition, ::fmt::format(__VA_ARGS__)); \
  } while (false)
