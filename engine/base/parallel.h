// Threads, in one place. Work is cut into fixed chunks: no result depends on the number of threads.
#pragma once

#include <cstdint>
#include <type_traits>

#include "engine/base/export.h"

namespace reprise {

// A reference to a callable of (begin, end). Valid only during the call to which it is passed.
class RangeFunction {
 public:
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, RangeFunction>)
      RangeFunction(F&& f)  // NOLINT: implicit on purpose
      : object_(const_cast<void*>(static_cast<const void*>(&f))),
        call_([](void* o, std::int64_t b, std::int64_t e) {
          (*static_cast<std::remove_reference_t<F>*>(o))(b, e);
        }) {}
  void operator()(std::int64_t begin, std::int64_t end) const { call_(object_, begin, end); }

 private:
  void* object_;
  void (*call_)(void*, std::int64_t, std::int64_t);
};

// Calls f(begin, end) once for each chunk [0,grain), [grain,2*grain), … of [0,n), on any thread,
// and returns when all are done. The chunks depend only on n and grain. If chunks throw,
// rethrows the exception of the first one in this order. Runs serially if called inside a chunk.
// Calls of several threads run one after the other.
REPRISE_API void parallel_for(std::int64_t n, std::int64_t grain, RangeFunction f);

inline constexpr int most_threads = 1024;

// The number of threads that parallel_for uses, including the caller's. The default
// is REPRISE_THREADS; if that is 0, as many as the affinity mask and the cgroups' quotas allow.
// set_thread_count(0) restores the default; do not call it inside a chunk. Both throw Error
// if the number, or REPRISE_THREADS, is not in 0..most_threads.
REPRISE_API int thread_count();
REPRISE_API void set_thread_count(int threads);

// While an instance lives, this thread flushes denormals to zero,
// as operands and as results (on x86). The destructor restores the former mode.
class REPRISE_API FlushDenormals {
 public:
  FlushDenormals();
  ~FlushDenormals();
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  unsigned saved_;
};

}  // namespace reprise
