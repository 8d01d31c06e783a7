// Which control groups hold the process, and the CPUs that they grant, in folders as Linux lays them out.
#include "engine/base/cgroup.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace reprise {
namespace {

namespace fs = std::filesystem;

class Cgroup : public ::testing::Test {
 protected:
  Cgroup() {
    std::string pattern = (fs::temp_directory_path() / "cgroup-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    root = pattern;
  }
  ~Cgroup() override { fs::remove_all(root); }

  void write(const std::string& name, const std::string& text) const {
    fs::create_directories(fs::path(root + "/" + name).parent_path());
    std::ofstream(root + "/" + name) << text;
  }
  // Returns the CPUs that are left of a machine's 500.
  int cpus(const std::string& membership) const {
    write("membership", membership);
    return cpus_granted(cgroup_folders("cpu", root, root + "/membership"), 500);
  }
  std::string root;
};

TEST_F(Cgroup, VersionTwo) {
  EXPECT_EQ(cpus("0::/\n"), 500) << "no group, no quota";
  write("cpu.max", "max 100000\n");
  EXPECT_EQ(cpus("0::/\n"), 500);
  write("cpu.max", "100000 100000\n");
  EXPECT_EQ(cpus("0::/\n"), 1);
  write("cpu.max", "250000 100000\n");
  EXPECT_EQ(cpus("0::/\n"), 3) << "rounded up";
  EXPECT_EQ(cpus(""), 3) << "without a list of groups";
}

TEST_F(Cgroup, TheLeastOfNestedGroupsCounts) {
  write("user/job/step/cpu.max", "max 100000\n");
  write("user/job/cpu.max", "200000 100000\n");
  write("user/cpu.max", "400000 100000\n");
  write("other/cpu.max", "100000 100000\n");
  EXPECT_EQ(cpus("0::/user/job/step\n"), 2);
  EXPECT_EQ(cpus("0::/user\n"), 4);
  EXPECT_EQ(cpus("0::/\n"), 500);
  write("user/job/step/cpu.max", "50000 100000\n");
  EXPECT_EQ(cpus("0::/user/job/step\n"), 1);
  write("cpu.max", "10000 100000\n");
  EXPECT_EQ(cpus("0::/user\n"), 1);
}

TEST_F(Cgroup, VersionOne) {
  write("cpu/cpu.cfs_period_us", "50000\n");
  write("cpu/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(cpus("0::/\n"), 500);
  write("cpu/cpu.cfs_quota_us", "100000\n");
  EXPECT_EQ(cpus("0::/\n"), 2) << "also where the list of groups does not tell";
  write("cpu/batch/job/cpu.cfs_period_us", "100000\n");
  write("cpu/batch/job/cpu.cfs_quota_us", "100000\n");
  EXPECT_EQ(cpus("11:memory:/elsewhere\n4:cpu,cpuacct:/batch/job\n1:name=systemd:/batch\n"), 1);
  EXPECT_EQ(cpus("4:cpuacct,cpu:/batch\n3:cpuset:/batch/job\n0::/batch/job\n"), 2);
}

TEST_F(Cgroup, AMountOfSeveralControllersWithoutALink) {
  write("cpu,cpuacct/job/cpu.cfs_period_us", "50000\n");
  write("cpu,cpuacct/job/cpu.cfs_quota_us", "100000\n");
  EXPECT_EQ(cpus("4:cpu,cpuacct:/job\n0::/\n"), 2);
}

// Such a path is the host's: in the container its own group is the root, and groups made within lie below.
TEST_F(Cgroup, InAContainer) {
  write("cpu.max", "300000 100000\n");
  EXPECT_EQ(cpus("0::/docker/4f1c\n"), 3);
  write("init/cpu.max", "200000 100000\n");
  EXPECT_EQ(cpus("0::/docker/4f1c/init\n"), 2);
  EXPECT_EQ(cpus("0::/../../elsewhere\n"), 3);
}

TEST_F(Cgroup, WhatIsNoQuota) {
  for (const char* text :
       {"", "nonsense", "100000", "0 100000", "100000 0", "-5 100000", "99999999999999999999 1"}) {
    write("cpu.max", text);
    EXPECT_EQ(cpus("0::/\n"), 500) << text;
  }
  write("cpu.max", "9000000000000000000 1");
  EXPECT_EQ(cpus("0::/\n"), 500) << "more than the machine has";
  write("cpu.max", "100000 100000");
  EXPECT_EQ(cpus("::\n:\nno colons\n0:"), 1) << "the root of what is mounted";
}

TEST_F(Cgroup, FoldersAreInnermostFirst) {
  write("a/b/x", "");
  write("memory/c/x", "");
  write("membership", "7:memory:/c\n0::/a/b\n");
  EXPECT_EQ(
      cgroup_folders("memory", root, root + "/membership"),
      (std::vector<std::string>{root + "/a/b", root + "/a", root, root + "/memory/c", root + "/memory"}));
}

}  // namespace
}  // namespace reprise
