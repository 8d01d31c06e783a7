// Starts this program again with other environment variables:
// a process reads the engine's switches once.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace reprise::clr {

using Environment = std::vector<std::pair<std::string, std::string>>;

// Runs this program as a child process with the arguments and the changed variables, and returns
// the child's standard output. The child writes to this process's standard error. Throws Error
// unless the child ends with status 0. After a signal: passes the signal on, waits for the child,
// and throws Interrupted.
std::string run_self(const std::vector<std::string>& arguments, const Environment& changed);

}  // namespace reprise::clr
