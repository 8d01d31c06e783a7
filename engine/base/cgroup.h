// The control groups (Linux cgroups) that this process is in, and the CPU time that they grant.
#pragma once

#include <string>
#include <vector>

#include "engine/base/export.h"

namespace reprise {

// Returns the folders of the groups that hold this process for `controller` ("cpu", "memory"), each
// group before the one that contains it: those of version 2, then those of version 1. A folder may
// be absent. `root` is where the groups are mounted, `membership` the file in which Linux lists
// this process's groups.
REPRISE_API std::vector<std::string> cgroup_folders(const std::string& controller,
                                                    const std::string& root = "/sys/fs/cgroup",
                                                    const std::string& membership = "/proc/self/cgroup");

// Returns the least number of CPUs that any of these folders' quotas comes to, rounded up, but at
// most `cpus`.
REPRISE_API int cpus_granted(const std::vector<std::string>& cgroup_folders, int cpus);

}  // namespace reprise
