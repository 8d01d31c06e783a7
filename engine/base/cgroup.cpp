#include "engine/base/cgroup.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace reprise {
namespace {

// Adds the group `path` below `top` and all that contain it. In a container Linux may list the path
// as the host sees it: its longest end that is there counts.
void add_folders(const std::string& top, std::string path, std::vector<std::string>& folders) {
  if (path == "/") path.clear();
  while (!path.empty() && ::access((top + path).c_str(), F_OK) != 0)
    path.erase(0, std::min(path.find('/', 1), path.size()));
  for (; !path.empty(); path.erase(path.rfind('/'))) folders.push_back(top + path);
  folders.push_back(top);
}

}  // namespace

std::vector<std::string> cgroup_folders(const std::string& controller, const std::string& root,
                                        const std::string& membership) {
  std::string version_1, version_2, mounted = controller;
  std::ifstream list(membership);
  // A line is ID:CONTROLLERS:PATH, "4:cpu,cpuacct:/job" in version 1 and "0::/job" in version 2.
  for (std::string line; std::getline(list, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    if (controllers == ",,") version_2 = line.substr(second + 1);
    if (controllers.find("," + controller + ",") == std::string::npos) continue;
    version_1 = line.substr(second + 1);
    // Without the usual link `cpu`, the mount has the name of all its controllers.
    if (::access((root + "/" + controller).c_str(), F_OK) != 0)
      mounted = controllers.substr(1, controllers.size() - 2);
  }
  std::vector<std::string> folders;
  add_folders(root, version_2, folders);
  add_folders(root + "/" + mounted, version_1, folders);
  return folders;
}

int cpus_granted(const std::vector<std::string>& cgroup_folders, int cpus) {
  for (const std::string& folder : cgroup_folders) {
    long long quota = 0, period = 0;
    // "max" and -1 mean no quota.
    if (!(std::ifstream(folder + "/cpu.max") >> quota >> period)) {
      std::ifstream(folder + "/cpu.cfs_quota_us") >> quota;
      std::ifstream(folder + "/cpu.cfs_period_us") >> period;
    }
    if (quota <= 0 || period <= 0) continue;
    cpus = static_cast<int>(std::min<long long>(cpus, (quota - 1) / period + 1));
  }
  return cpus;
}

}  // namespace reprise
