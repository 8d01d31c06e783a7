// REPRISE_API marks what a shared library shows to its users.
#pragma once

#if defined(REPRISE_SHARED) && (defined(__GNUC__) || defined(__clang__))
#define REPRISE_API __attribute__((visibility("default")))
#else
#define REPRISE_API
#endif
