// Starts this program again with other environment variables:
// a process reads the engine's switches once.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace reprise::clr {

using Environment = std::vector<std::pair<std::string, std::string>>;

// Runs this program with the arguments and the changed variables, and returns its standard output.
// Its standard error is this process's. Throws Error unless it ends with status 0. Passes a signal
// on to it, waits for its end, then throws Interrupted.
std::string run_self(const std::vector<std::string>& arguments, const Environment& changed);

}  // namespace reprise::clr
