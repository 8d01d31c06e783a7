// A training ended at random moments, by each of the signals,
// and started again gives the same bytes.
#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "engine/base/random.h"
#include "tests/survive/survive.h"

namespace reprise::test {
namespace {

using Clock = std::chrono::steady_clock;

class Kills : public Survive {
 protected:
  // Runs several processes on one run folder and ends them by signals
  // after a random time of at most `seconds`, `kills` times.
  // Counts those that SIGKILL and those that another signal ended before they were done.
  void run_with_kills(const std::string& run, int processes, int kills, double seconds,
                      RandomStream& random) {
    for (int k = 0; k < kills; ++k) {
      std::vector<std::unique_ptr<Running>> running;
      for (int p = 0; p < processes; ++p) running.push_back(std::make_unique<Running>(train(run)));
      std::this_thread::sleep_for(std::chrono::duration<double>(random.uniform(0, seconds)));
      for (auto& r : running) {
        constexpr int signals[] = {SIGKILL, SIGKILL, SIGKILL, SIGKILL, SIGTERM, SIGINT, SIGHUP, SIGUSR1};
        const int signal = signals[random.below(std::size(signals))];
        r->send(signal);
        const int status = r->wait();
        EXPECT_TRUE(status == 0 || status == 128 + signal) << status << " after signal " << signal;
        if (status != 0) ++(signal == SIGKILL ? killed_ : interrupted_);
      }
      expect_nothing_torn(run, false);
    }
  }
  int killed_ = 0, interrupted_ = 0;
};

TEST_F(Kills, at_random_moments_change_no_bit) {
  const char* wanted = std::getenv("SURVIVE_KILLS");
  const int kills = wanted != nullptr ? std::atoi(wanted) : 5;
  const auto begin = Clock::now();
  whole();
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  RandomStream random(0, "kills");
  int runs = 0;
  for (; killed_ < kills && runs < 20 + kills; ++runs) {
    const std::string run = "run" + std::to_string(runs);
    run_with_kills(run, 1 + runs % 3 / 2, 1 + static_cast<int>(random.below(3)), seconds, random);
    expect_goes_on(run);
  }
  EXPECT_GE(killed_, kills);
  std::printf("%d processes killed and %d interrupted while they trained, %d runs\n", killed_, interrupted_,
              runs);
}

}  // namespace
}  // namespace reprise::test
