// Interruption by signals: they are remembered until the work can be saved and stopped.
#pragma once

#include "apps/clr/learn/observer.h"

namespace reprise::clr {

// Remembers the first SIGINT or SIGTERM while it lives; a second one ends the process at once.
class SignalGuard {
 public:
  SignalGuard();
  ~SignalGuard();
  SignalGuard(const SignalGuard&) = delete;
  SignalGuard& operator=(const SignalGuard&) = delete;
};

// Returns the signal that arrived since the newest guard was made; 0 if none.
int pending_signal();
inline bool stop_requested() {
  return pending_signal() != 0;
}
// Throws Interrupted after a signal; for commands that have nothing to save.
void stop_if_requested();
inline int status_of_interruption() {
  return 128 + pending_signal();  // 130 for SIGINT, 143 for SIGTERM
}

}  // namespace reprise::clr
