#include "apps/clr/commands/signals.h"

#include <signal.h>

namespace reprise::clr {
namespace {

volatile sig_atomic_t pending = 0;
struct sigaction old_int, old_term;

void remember(int signal) {
  pending = signal;
}

}  // namespace

SignalGuard::SignalGuard() {
  pending = 0;
  struct sigaction action = {};
  action.sa_handler = remember;
  // The second signal meets the default action: a program that hangs can still be ended from the keyboard.
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &old_int);
  sigaction(SIGTERM, &action, &old_term);
}

SignalGuard::~SignalGuard() {
  sigaction(SIGINT, &old_int, nullptr);
  sigaction(SIGTERM, &old_term, nullptr);
}

int pending_signal() {
  return pending;
}

void stop_if_requested() {
  if (stop_requested()) throw Interrupted("interrupted; nothing was changed");
}

}  // namespace reprise::clr
