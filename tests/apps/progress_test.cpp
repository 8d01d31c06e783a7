// The progress of a training on standard error, and what signals ask of it.
#include "apps/clr/commands/progress.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <ctime>
#include <thread>

#include "tests/apps/figures.h"
#include "tests/apps/support.h"

namespace reprise::test {
namespace {

using namespace reprise::clr;
using std::chrono::milliseconds;

TEST(Progress, durations_read_well) {
  for (const auto& [seconds, text] : {std::pair(4.26, "4.3s"),
                                      {9.94, "9.9s"},
                                      {10, "10s"},
                                      {59.4, "59s"},
                                      {60, "1m00s"},
                                      {75, "1m15s"},
                                      {3599, "59m59s"},
                                      {3600, "1h00m"},
                                      {5400, "1h30m"},
                                      {48 * 3600 - 1, "47h59m"},
                                      {48 * 3600, "2d00h"},
                                      {3.25 * 86400, "3d06h"}})
    EXPECT_EQ(duration_text(seconds), text) << seconds;
}

// Five steps of 4 images, half an epoch: the first two do not count, and 20 images were skipped.
std::string shown(Progress::Style style, std::int64_t images = 40) {
  testing::internal::CaptureStderr();
  {
    Progress progress(style);
    progress.begin(images);
    progress.skip(20);
    progress.begin_task("dots\n", 3, 40);
    for (int step = 1; step <= 5; ++step) {
      if (step == 5 && style == Progress::Style::live) std::this_thread::sleep_for(milliseconds(110));
      progress.step(2, 4 * step, 4, 0.5, 0.25);
    }
    progress.line("a line");
    progress.epoch(2, 12, 0.5, 0.75, true, 61);
    // The expected time is of all tasks, and is said once.
    progress.begin_task("circles", 3, 40);
    for (int step = 1; step <= 5 && style != Progress::Style::live; ++step)
      progress.step(1, 4 * step, 4, 0.5, 0.25);
  }
  return testing::internal::GetCapturedStderr();
}

TEST(Progress, a_bar_shows_how_much_of_an_epoch_is_done) {
  const std::string live = shown(Progress::Style::live);
  EXPECT_SAYS(live, "expected time in all: 0.0s\n");
  EXPECT_SAYS(live, "\r\033[K[##########..........] dots\\x0A epoch 2/3 loss 0.5000 accuracy 25.0%  ");
  EXPECT_SAYS(live, " images/s  left 0.0s\r\033[Ka line\n");
  EXPECT_LE(std::stod("0" + between(live, "accuracy 25.0%  ", " images/s")), 12 / 0.11);
  EXPECT_SAYS(live, "a line\ndots\\x0A epoch 2/3 loss sum 12.0000 train 50.0% val 75.0% best  1m01s\n");
  const std::string plain = shown(Progress::Style::plain);
  EXPECT_EQ(plain, "expected time in all: 0.0s\na line\n" + live.substr(live.rfind("dots")));
  EXPECT_EQ(shown(Progress::Style::quiet), "");
  // The run was resumed, and more is skipped than was counted; far more is left.
  EXPECT_SAYS(shown(Progress::Style::plain, 0), "expected time in all: 0.0s\n");
  const std::string more = between(shown(Progress::Style::plain, 1LL << 50), "expected time in all: ", "\n");
  EXPECT_TRUE(more.ends_with('h') && std::stoi(more) > 1) << more;
}

// `clr audit verify` trains one task after the other, and shows each as a training of its own.
TEST(Progress, a_second_training_is_estimated_anew) {
  Progress progress(Progress::Style::plain);
  const auto expected = [&](std::int64_t images, milliseconds wait) {
    testing::internal::CaptureStderr();
    progress.begin(images);
    progress.begin_task("dots", 1, images);
    for (int step = 1; step <= 5; ++step) {
      if (step == 5) std::this_thread::sleep_for(wait);
      progress.step(1, 4 * step, 4, 0.5, 0.25);
    }
    return between(testing::internal::GetCapturedStderr(), "expected time in all: ", "s\n");
  };
  EXPECT_EQ(expected(20, milliseconds(110)), "0.0") << "nothing is left";
  EXPECT_LT(std::stod("0" + expected(140, milliseconds(0))), 1) << "the steps before were slow, not these";
  EXPECT_GE(std::stod("0" + expected(32, milliseconds(110))), 0.1) << "as many are left as were counted";
}

// Interrupts itself twice at once, after a second and after two.
void interrupt_again_and_again() {
  ::signal(SIGINT, SIG_DFL);
  const auto sleep_until = [](double time) {
    std::this_thread::sleep_until(std::chrono::system_clock::time_point() +
                                  milliseconds(std::llround(1000 * time)));
  };
  const SignalGuard guard;
  // Not at the end of a second, so that both come in the same one.
  while (std::chrono::system_clock::now().time_since_epoch() % std::chrono::seconds(1) > milliseconds(800))
    std::this_thread::sleep_for(milliseconds(10));
  const auto begin = static_cast<double>(std::time(nullptr));
  raise(SIGINT);
  raise(SIGINT);
  sleep_until(begin + 1.2);
  raise(SIGINT);
  fputs(pending_signal_name().c_str(), stderr);
  sleep_until(begin + 2.1);
  raise(SIGTERM);
  fputs(", still here", stderr);
  raise(SIGINT);
  fputs(", for ever", stderr);
}

// `timeout` and a closed terminal may send SIGINT twice at once, and a batch system sends what it likes.
// Only a person's second SIGINT ends the program at once.
TEST(Signals, only_an_interrupt_that_comes_again_later_ends_the_program) {
  EXPECT_EXIT(interrupt_again_and_again(), testing::KilledBySignal(SIGINT), "^SIGINT, still here$");
}

// A signal arrives while read() waits; the byte comes later. Ends with the number of bytes that were read.
[[noreturn]] void read_over_a_signal() {
  const SignalGuard guard;
  int ends[2];
  if (pipe(ends) != 0) std::_Exit(100);
  const pthread_t reader = pthread_self();
  std::thread sender([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    pthread_kill(reader, SIGTERM);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    if (write(ends[1], "x", 1) != 1) std::_Exit(101);
  });
  char byte = 0;
  const ssize_t got = read(ends[0], &byte, 1);
  sender.join();
  std::_Exit(pending_signal() == SIGTERM ? static_cast<int>(got) : 102);
}

TEST(Signals, do_not_interrupt_what_is_being_read) {
  EXPECT_EXIT(read_over_a_signal(), testing::ExitedWithCode(1), "");
}

TEST(Signals, do_again_what_they_did_before_the_command) {
  const auto handler_of = [](int number) {
    struct sigaction action {};
    EXPECT_EQ(::sigaction(number, nullptr, &action), 0);
    return action.sa_handler;
  };
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) {
    const auto outside = ::signal(number, SIG_DFL);  // it may be ignored here, as in a shell's background job
    {
      const SignalGuard guard;
      EXPECT_NE(handler_of(number), SIG_DFL) << number;
    }
    EXPECT_EQ(handler_of(number), SIG_DFL) << number;
    ::signal(number, outside);
  }
}

}  // namespace
}  // namespace reprise::test
