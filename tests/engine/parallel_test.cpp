#include "engine/base/parallel.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

#include "engine/base/cgroup.h"
#include "engine/base/check.h"
#include "tests/engine/exit_with.h"
#include "tests/engine/expect_error.h"

namespace reprise {
namespace {

class Parallel : public ::testing::Test {
 protected:
  void TearDown() override { set_thread_count(0); }
};

using Chunks = std::vector<std::pair<std::int64_t, std::int64_t>>;

Chunks chunks_of(std::int64_t n, std::int64_t grain) {
  std::mutex mutex;
  Chunks chunks;
  parallel_for(n, grain, [&](std::int64_t begin, std::int64_t end) {
    const std::lock_guard lock(mutex);
    chunks.emplace_back(begin, end);
  });
  std::sort(chunks.begin(), chunks.end());
  return chunks;
}

TEST_F(Parallel, ChunksDependOnNAndGrainAlone) {
  for (const int threads : {1, 2, 3, 8}) {
    set_thread_count(threads);
    EXPECT_EQ(thread_count(), threads);
    EXPECT_EQ(chunks_of(10, 4), (Chunks{{0, 4}, {4, 8}, {8, 10}})) << threads << " threads";
    EXPECT_EQ(chunks_of(4, 4), (Chunks{{0, 4}}));
    EXPECT_EQ(chunks_of(3, 100), (Chunks{{0, 3}}));
    EXPECT_EQ(chunks_of(0, 1), Chunks{});
    EXPECT_EQ(chunks_of(1000, 1).size(), 1000u);
  }
}

// Partial sums per chunk, added in the order of chunks.
float chunked_sum(const std::vector<float>& values) {
  constexpr std::int64_t grain = 100;
  const auto n = static_cast<std::int64_t>(values.size());
  std::vector<float> partial(static_cast<std::size_t>((n + grain - 1) / grain));
  parallel_for(n, grain, [&](std::int64_t begin, std::int64_t end) {
    partial[static_cast<std::size_t>(begin / grain)] =
        std::accumulate(values.begin() + begin, values.begin() + end, 0.f);
  });
  return std::accumulate(partial.begin(), partial.end(), 0.f);
}

TEST_F(Parallel, ASumHasTheSameBitsForAnyNumberOfThreads) {
  std::vector<float> values(12345);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = 1.f / static_cast<float>(i + 1);
  set_thread_count(1);
  const float one = chunked_sum(values);
  for (const int threads : {2, 3, 8}) {
    set_thread_count(threads);
    for (int repeat = 0; repeat < 20; ++repeat) ASSERT_EQ(chunked_sum(values), one) << threads << " threads";
  }
}

TEST_F(Parallel, TheLowestChunksExceptionArrivesAndThePoolGoesOn) {
  for (const int threads : {1, 2, 3, 8}) {
    set_thread_count(threads);
    for (int repeat = 0; repeat < 20; ++repeat) {
      try {
        parallel_for(50, 1, [](std::int64_t begin, std::int64_t) {
          if (begin == 7 || begin == 30) throw std::runtime_error("chunk " + std::to_string(begin));
        });
        FAIL() << "nothing was thrown";
      } catch (const std::runtime_error& e) {
        EXPECT_STREQ(e.what(), "chunk 7");
      }
    }
    EXPECT_EQ(chunks_of(10, 4).size(), 3u);
    for (int repeat = 0; repeat < 20; ++repeat)
      testing::expect_error(
          [] {
            parallel_for(50, 1, [](std::int64_t begin, std::int64_t) { throw_error("chunk {}.", begin); });
          },
          "chunk 0.");
  }
}

TEST_F(Parallel, AsManyThreadsWorkAtTheSameTimeAsAskedFor) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  set_thread_count(3);
  for (int repeat = 0; repeat < 3; ++repeat) {
    std::atomic<int> begun{0};
    parallel_for(3, 1, [&](std::int64_t, std::int64_t) {
      ++begun;
      while (begun < 3 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
      EXPECT_EQ(begun, 3);
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(repeat * 5));  // then they sleep, too
  }
  std::atomic<int> working{0}, most{0};
  parallel_for(30, 1, [&](std::int64_t, std::int64_t) {
    const int now = ++working;
    for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) continue;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    --working;
  });
  EXPECT_LE(most, 3);
}

TEST_F(Parallel, NestedLoopsRunInTheirChunk) {
  set_thread_count(3);
  std::atomic<std::int64_t> total{0};
  parallel_for(8, 1, [&](std::int64_t, std::int64_t) {
    const auto outer = std::this_thread::get_id();
    parallel_for(100, 10, [&](std::int64_t begin, std::int64_t end) {
      EXPECT_EQ(std::this_thread::get_id(), outer);
      total += end - begin;
    });
  });
  EXPECT_EQ(total, 800);
}

TEST_F(Parallel, ManyCallersMayShareThePool) {
  set_thread_count(3);
  std::atomic<std::int64_t> total{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 4; ++t)
    callers.emplace_back([&] {
      for (int i = 0; i < 50; ++i)
        parallel_for(100, 7, [&](std::int64_t begin, std::int64_t end) { total += end - begin; });
    });
  for (std::thread& t : callers) t.join();
  EXPECT_EQ(total, 4 * 50 * 100);
}

TEST_F(Parallel, RefusesAWrongNumberOfThreads) {
  for (const int wrong : {-1, most_threads + 1})
    testing::expect_error([&] { set_thread_count(wrong); }, "threads", std::to_string(wrong));
  EXPECT_GE(thread_count(), 1);
  set_thread_count(most_threads);
  EXPECT_EQ(thread_count(), most_threads);
}

TEST_F(Parallel, ChunksHaveAtLeastOneElement) {
  set_thread_count(2);
  EXPECT_THROW(chunks_of(3, 0), InternalError);
}

// The number is read once: each value needs a process of its own.
TEST(ParallelDeathTest, TheEnvironmentGivesTheDefaultNumberOfThreads) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto exit_with_count = [](const char* wanted) {
    testing::exit_with("REPRISE_THREADS", wanted, [=] { return thread_count() == std::atoi(wanted); });
  };
  for (const char* wanted : {"1", "1024"})
    EXPECT_EXIT(exit_with_count(wanted), ::testing::ExitedWithCode(0), "") << wanted;
  for (const char* wrong : {"-1", "1025"})
    EXPECT_EXIT(exit_with_count(wrong), ::testing::ExitedWithCode(2), "expected 0 .*to 1024, got") << wrong;
}

TEST(ParallelDeathTest, TheAffinityMaskAndTheQuotasGiveItOtherwise) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto exit_with_count = [](bool one_cpu) {
    setenv("REPRISE_THREADS", "0", 1);
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) std::exit(1);
    for (int cpu = 0; one_cpu && CPU_COUNT(&set) > 1; ++cpu) CPU_CLR(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) std::exit(1);
    const int allowed = cpus_granted(cgroup_folders("cpu"), CPU_COUNT(&set));
    std::exit(thread_count() == std::min(allowed, 256) ? 0 : 2);
  };
  for (const bool one_cpu : {true, false})
    EXPECT_EXIT(exit_with_count(one_cpu), ::testing::ExitedWithCode(0), "") << one_cpu;
}

#if defined(__SSE2__)
TEST_F(Parallel, DenormalsAreFlushedInsideAndTheCallersStateIsRestored) {
  const volatile float tiny = 1e-39f;
  const auto product = [&] { return tiny * 0.5f; };
  EXPECT_NE(product(), 0.f);
  for (const int threads : {1, 3}) {
    set_thread_count(threads);
    parallel_for(64, 1, [&](std::int64_t, std::int64_t) { EXPECT_EQ(product(), 0.f); });
    EXPECT_NE(product(), 0.f);
  }
}
#endif

}  // namespace
}  // namespace reprise
