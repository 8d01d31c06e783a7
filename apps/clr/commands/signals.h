// Signals that end a program. They are remembered until the work can be saved and stopped.
#pragma once

#include <string>

#include "apps/clr/learn/observer.h"

namespace reprise::clr {

// While it lives, it remembers the first SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 or SIGXCPU.
// Afterwards no signal but a SIGINT more than a second later ends the process, until it exits.
// A signal that was ignored before stays ignored, as under nohup.
class SignalGuard {
 public:
  SignalGuard();
  ~SignalGuard();
  SignalGuard(const SignalGuard&) = delete;
  SignalGuard& operator=(const SignalGuard&) = delete;
};

// Returns the first signal that arrived since the newest guard was made; 0 if none.
int pending_signal();
// Returns its name, "SIGTERM"; empty if none came.
std::string pending_signal_name();
inline bool stop_requested() {
  return pending_signal() != 0;
}
// Throws Interrupted after a signal; for commands that have nothing to save.
void stop_if_requested();
// Returns the exit status after a signal: 130 for SIGINT, 143 for SIGTERM.
inline int status_of_interruption() {
  return 128 + pending_signal();
}

}  // namespace reprise::clr
