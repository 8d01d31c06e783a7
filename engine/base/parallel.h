// The one seam for threads. Work is cut into fixed chunks, so no result depends on how many threads there
// are.
#pragma once

#include <cstdint>
#include <type_traits>

#include "engine/base/export.h"

namespace reprise {

// A reference to a callable of (begin, end); lives only as long as the call it is passed to.
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

// Calls f(begin, end) for the chunks [0,grain), [grain,2*grain), … of [0,n), each exactly once, on any
// thread. The chunks depend on n and grain alone. An exception from a chunk is rethrown here, the lowest
// chunk's first. Called inside a chunk, it runs serially.
REPRISE_API void parallel_for(std::int64_t n, std::int64_t grain, RangeFunction f);

inline constexpr int most_threads = 1024;

// How many threads parallel_for uses, the caller among them. The default is REPRISE_THREADS, or follows the
// affinity mask and the quotas of the cgroups. set_thread_count(0) restores the default.
REPRISE_API int thread_count();
REPRISE_API void set_thread_count(int threads);

// Sets flush-to-zero and denormals-are-zero for this thread while it lives, then restores what was there.
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
