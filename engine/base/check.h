// Checks for sources (not for public headers). The message is an fmt format string with its arguments.
#pragma once

#include <fmt/format.h>

#include "engine/base/error.h"

namespace reprise {

// Throws Error with the message and the context of the current scopes.
[[noreturn]] REPRISE_API void raise_error(std::string message);
[[noreturn]] REPRISE_API void raise_internal(const char* file, int line, const char* what,
                                             std::string message);

template <class... Args>
[[noreturn]] void throw_error(fmt::format_string<Args...> format, Args&&... args) {
  raise_error(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace reprise

// The user's fault: throws reprise::Error.
#define REPRISE_CHECK(condition, ...)      \
  do {                                     \
    if (!(condition)) [[unlikely]]         \
      ::reprise::throw_error(__VA_ARGS__); \
  } while (false)

// Our own fault: throws reprise::InternalError with file and line.
#define REPRISE_INVARIANT(condition, ...)                                                    \
  do {                                                                                       \
    if (!(condition)) [[unlikely]]                                                           \
      ::reprise::raise_internal(__FILE__, __LINE__, #condition, ::fmt::format(__VA_ARGS__)); \
  } while (false)
