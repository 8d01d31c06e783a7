// Calls this program again with other environment variables: the engine reads its switches once a process.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace reprise::clr {

using Environment = std::vector<std::pair<std::string, std::string>>;

// Its standard output; standard error goes where this process's goes. Error where it does not end with 0;
// Interrupted, after it has ended, where this process gets a signal meanwhile.
std::string run_self(const std::vector<std::string>& arguments, const Environment& changed);

}  // namespace reprise::clr
