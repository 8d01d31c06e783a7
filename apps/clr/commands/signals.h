// Interruption by Ctrl-C (SIGINT) or SIGTERM: remembered, and acted upon at the next step boundary.
#pragma once

#include <string>

#include "engine/core/error.h"

namespace reprise::clr {

// Thrown at a step boundary after everything was saved. The message says how to go on.
class Interrupted : public Error {
 public:
  Interrupted(int signal, const std::string& message) : Error(message), signal_(signal) {}
  int exit_status() const { return 128 + signal_; }  // 130 for SIGINT, 143 for SIGTERM

 private:
  int signal_;
};

// While it lives, the first SIGINT or SIGTERM is only remembered; a second one ends the process at once.
class SignalGuard {
 public:
  SignalGuard();
  ~SignalGuard();
  SignalGuard(const SignalGuard&) = delete;
  SignalGuard& operator=(const SignalGuard&) = delete;
};

// The signal that came since the guard was made; 0 if none.
int pending_signal();

}  // namespace reprise::clr
