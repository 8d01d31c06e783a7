// REPRISE_API marks the functions and classes that a shared library exports.
#pragma once

#if defined(REPRISE_SHARED) && (defined(__GNUC__) || defined(__clang__))
#define REPRISE_API __attribute__((visibility("default")))
#else
#define REPRISE_API
#endif
