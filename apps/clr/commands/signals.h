// Interruption by Ctrl-C (SIGINT) or SIGTERM: remembered, and acted upon at the next step boundary.
#pragma once

#include "apps/clr/learn/observer.h"

namespace reprise::clr {

// While it lives, the first SIGINT or SIGTERM is only remembered; a second one ends the process at once.
class SignalGuard {
 public:
  SignalGuard();
  ~SignalGuard();
  SignalGuard(const SignalGuard&) = delete;
  SignalGuard& operator=(const SignalGuard&) = delete;
};

// The signal that came since the newest guard was made; 0 if none.
int pending_signal();
inline bool stop_requested() {
  return pending_signal() != 0;
}
// Throws Interrupted after a signal, in a command that has nothing to save.
void stop_if_requested();
inline int status_of_interruption() {
  return 128 + pending_signal();  // 130 for SIGINT, 143 for SIGTERM
}

}  // namespace reprise::clr
