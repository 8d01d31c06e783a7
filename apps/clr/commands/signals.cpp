#include "apps/clr/commands/signals.h"

#include <signal.h>

#include <array>
#include <atomic>
#include <ctime>

namespace reprise::clr {
namespace {

struct Signal {
  int number;
  const char* name;
};
// The keyboard's, a closed terminal's, and those by which batch systems warn of a job's end.
constexpr std::array<Signal, 6> signals = {{{SIGINT, "SIGINT"},
                                            {SIGTERM, "SIGTERM"},
                                            {SIGHUP, "SIGHUP"},
                                            {SIGUSR1, "SIGUSR1"},
                                            {SIGUSR2, "SIGUSR2"},
                                            {SIGXCPU, "SIGXCPU"}}};

std::atomic<int> pending = 0;
std::atomic<std::time_t> pending_since = 0;
std::array<struct sigaction, signals.size()> before;

// Calls only what a handler may call.
void remember(int number) {
  int none = 0;
  if (pending.compare_exchange_strong(none, number)) {
    pending_since = std::time(nullptr);
    // What reads this program's output may be gone as well, and to save matters more.
    ::signal(SIGPIPE, SIG_IGN);
    return;
  }
  // Only a person who asks again means it. A batch system sends SIGTERM several times, and SIGXCPU
  // comes every second. Within a second even SIGINT may be the same wish twice: `timeout` and closed
  // terminals ask the process and its group.
  if (number == SIGINT && std::time(nullptr) > pending_since + 1) {
    ::signal(number, SIG_DFL);
    raise(number);
  }
}

}  // namespace

SignalGuard::SignalGuard() {
  pending = 0;
  struct sigaction action = {};
  action.sa_handler = remember;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < signals.size(); ++i) {
    sigaction(signals[i].number, nullptr, &before[i]);
    if (before[i].sa_handler != SIG_IGN) sigaction(signals[i].number, &action, nullptr);
  }
}

SignalGuard::~SignalGuard() {
  if (stop_requested()) return;  // a further signal must not end the process before its last line
  for (std::size_t i = 0; i < signals.size(); ++i) sigaction(signals[i].number, &before[i], nullptr);
}

int pending_signal() {
  return pending;
}

std::string pending_signal_name() {
  for (const Signal& s : signals)
    if (s.number == pending) return s.name;
  return {};
}

void stop_if_requested() {
  if (stop_requested()) throw Interrupted("interrupted; nothing was changed");
}

}  // namespace reprise::clr
