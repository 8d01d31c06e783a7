#include "engine/base/parallel.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#include "engine/base/cgroup.h"
#include "engine/base/check.h"
#include "engine/base/env.h"

namespace reprise {
namespace {

thread_local bool inside_chunk = false;

// One call of parallel_for. Threads claim chunks with a counter; any thread gives the same result.
struct Job {
  RangeFunction f;
  std::int64_t n, grain, chunks;
  std::atomic<std::int64_t> next{0};
  std::mutex error_mutex;
  std::exception_ptr error;
  std::int64_t error_chunk = -1;

  Job(std::int64_t n_, std::int64_t grain_, RangeFunction f_)
      : f(f_), n(n_), grain(grain_), chunks((n_ + grain_ - 1) / grain_) {}

  void work() {
    FlushDenormals flush;
    inside_chunk = true;
    for (std::int64_t c = next.fetch_add(1); c < chunks; c = next.fetch_add(1)) {
      try {
        f(c * grain, std::min(n, (c + 1) * grain));
      } catch (...) {
        const std::lock_guard lock(error_mutex);
        if (error_chunk < 0 || c < error_chunk) {
          error = std::current_exception();
          error_chunk = c;
        }
      }
    }
    inside_chunk = false;
  }
};

// Lets the core's other hardware thread go first.
inline void pause() {
#if defined(__SSE2__)
  _mm_pause();
#endif
}

// Polls `done` for some ten microseconds: kernels follow each other faster than a thread wakes up.
template <class F>
void poll(int times, F done) {
  for (int i = 0; i < times && !done(); ++i) pause();
}

// Workers poll for the next job for a while, then sleep until one is posted.
// The thread that posts a job works on it too, and then waits until every worker has left the job.
class Pool {
 public:
  // `may_poll` is false where threads share a core: polling would keep the others from working.
  Pool(int workers, bool may_poll) : polls_(may_poll ? 1000 : 0) {
    try {
      for (int i = 0; i < workers; ++i) threads_.emplace_back([this] { loop(); });
    } catch (const std::exception& e) {  // no memory for another thread's stack
      const std::size_t started = threads_.size();
      stop();
      throw_error("{} of {} threads could be started: {}; set REPRISE_THREADS or --threads to fewer",
                  started + 1, workers + 1, e.what());
    }
  }
  ~Pool() { stop(); }

  void run(Job& job) {
    bool anyone_sleeps = false;
    {
      const std::lock_guard lock(mutex_);
      job_ = &job;
      ++posted_;
      anyone_sleeps = sleeping_ > 0;
    }
    if (anyone_sleeps) wake_.notify_all();
    job.work();
    {
      const std::lock_guard lock(mutex_);
      job_ = nullptr;  // a worker that wakes only now finds no job
    }
    const auto nobody = [this] { return busy_ == 0; };
    poll(polls_, nobody);
    std::unique_lock lock(mutex_);
    idle_.wait(lock, nobody);
  }

 private:
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    for (std::thread& t : threads_) t.join();
  }
  void loop() {
    std::uint64_t seen = 0;
    std::unique_lock lock(mutex_);
    const auto posted = [&] { return posted_ != seen; };
    for (;;) {
      if (!posted()) {
        lock.unlock();
        poll(polls_, posted);
        lock.lock();
        ++sleeping_;
        wake_.wait(lock, [&] { return stop_ || posted(); });
        --sleeping_;
      }
      if (stop_) return;
      seen = posted_;
      Job* job = job_;
      if (job == nullptr) continue;
      ++busy_;
      lock.unlock();
      job->work();
      lock.lock();
      if (--busy_ == 0) idle_.notify_all();
    }
  }

  const int polls_;
  std::mutex mutex_;  // guards all members below; the atomic ones are also read without it
  std::condition_variable wake_, idle_;
  std::vector<std::thread> threads_;
  Job* job_ = nullptr;
  std::atomic<std::uint64_t> posted_{0};
  std::atomic<int> busy_{0};
  int sleeping_ = 0;
  bool stop_ = false;
};

int count_from_machine() {
  int count = static_cast<int>(std::thread::hardware_concurrency());
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) count = CPU_COUNT(&set);
  return std::max(1, cpus_granted(cgroup_folders("cpu"), std::min(count, 256)));
}

int machine_thread_count() {
  static const int count = count_from_machine();
  return count;
}

int count_from_environment() {
  const std::int64_t wanted = env_int("REPRISE_THREADS");
  REPRISE_CHECK(wanted >= 0 && wanted <= most_threads,
                "REPRISE_THREADS: expected 0 (as many as the machine allows) to {}, got {}", most_threads,
                wanted);
  return wanted > 0 ? static_cast<int>(wanted) : machine_thread_count();
}

int default_thread_count() {
  static const int count = count_from_environment();
  return count;
}

std::mutex pool_mutex;  // one parallel region at a time; another thread's region waits
std::unique_ptr<Pool> pool;
std::atomic<int> requested{0};

}  // namespace

int thread_count() {
  const int r = requested.load();
  return r > 0 ? r : default_thread_count();
}

void set_thread_count(int threads) {
  REPRISE_CHECK(threads >= 0 && threads <= most_threads, "threads: expected 0 (default) to {}, got {}",
                most_threads, threads);
  const std::lock_guard lock(pool_mutex);
  requested = threads;
  pool.reset();
}

void parallel_for(std::int64_t n, std::int64_t grain, RangeFunction f) {
  if (n <= 0) return;
  REPRISE_INVARIANT(grain > 0, "parallel_for: grain {}", grain);
  if (inside_chunk || n <= grain || thread_count() == 1) {
    FlushDenormals flush;
    for (std::int64_t b = 0; b < n; b += grain) f(b, std::min(n, b + grain));
    return;
  }
  Job job(n, grain, f);
  {
    const std::lock_guard lock(pool_mutex);
    if (!pool) pool = std::make_unique<Pool>(thread_count() - 1, thread_count() <= machine_thread_count());
    pool->run(job);
  }
  if (job.error) std::rethrow_exception(job.error);
}

#if defined(__SSE2__)
FlushDenormals::FlushDenormals() : saved_(_mm_getcsr()) {
  _mm_setcsr(saved_ | 0x8040u);
}
FlushDenormals::~FlushDenormals() {
  _mm_setcsr(saved_);
}
#else
FlushDenormals::FlushDenormals() : saved_(0) {}
FlushDenormals::~FlushDenormals() = default;
#endif

}  // namespace reprise
