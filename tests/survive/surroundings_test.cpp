// A full disk, a folder without write permission, little memory, a truncated weight file, changing
// data, and other processes in the same folder: a message, no torn file, and later the same bytes.
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/survive/survive.h"

namespace reprise::test {
namespace {

namespace fs = std::filesystem;

class Surroundings : public Survive {
 protected:
  void expect_refused(const Outcome& o) {
    EXPECT_EQ(o.status, 1) << o.err;
    EXPECT_NE(o.err.find("clr: "), std::string::npos) << o.err;
  }
};

// A small file system in memory, mounted at a folder.
class SmallDisk {
 public:
  SmallDisk(std::string at, int kilobytes) : at_(std::move(at)) {
    fs::create_directories(at_);
    const std::string size = "size=" + std::to_string(kilobytes) + "k";
    mounted_ = ::mount("tmpfs", at_.c_str(), "tmpfs", 0, size.c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(at_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  bool mounted() const { return mounted_; }
  bool remount(unsigned long flags, int kilobytes) const {
    const std::string size = "size=" + std::to_string(kilobytes) + "k";
    return ::mount("tmpfs", at_.c_str(), "tmpfs", MS_REMOUNT | flags, size.c_str()) == 0;
  }

 private:
  std::string at_;
  bool mounted_ = false;
};

TEST_F(Surroundings, a_full_disk) {
  whole();
  for (const int kilobytes : {4, 16, 48, 64, 96, 128, 160, 200, 256}) {
    const std::string run = "disk" + std::to_string(kilobytes);
    const SmallDisk disk(dir / run, kilobytes);
    if (!disk.mounted()) GTEST_SKIP() << "only root may mount a small file system";
    const Outcome o = clr(train(run));
    SCOPED_TRACE(std::to_string(kilobytes) + " KiB: " + o.err);
    if (o.status != 0) expect_refused(o);
    EXPECT_EQ(o.err.find("No space left") != std::string::npos, o.status != 0);
    expect_nothing_torn(run, true);
    ASSERT_TRUE(disk.remount(0, 4096));
    expect_goes_on(run);
  }
}

TEST_F(Surroundings, three_processes_and_a_full_disk) {
  whole();
  for (const int kilobytes : {48, 160}) {
    const std::string run = "full" + std::to_string(kilobytes);
    const SmallDisk disk(dir / run, kilobytes);
    if (!disk.mounted()) GTEST_SKIP() << "only root may mount a small file system";
    std::vector<std::unique_ptr<Running>> all;
    for (int i = 0; i < 3; ++i) all.push_back(std::make_unique<Running>(train(run)));
    for (auto& r : all) {
      const int status = r->wait();
      EXPECT_TRUE(status == 0 || status == 1) << status;
    }
    expect_nothing_torn(run, true);
    ASSERT_TRUE(disk.remount(0, 4096));
    expect_goes_on(run);
  }
}

TEST_F(Surroundings, a_folder_that_may_not_be_written) {
  whole();
  const SmallDisk disk(dir / "ro", 4096);
  if (!disk.mounted() || !disk.remount(MS_RDONLY, 4096)) GTEST_SKIP() << "only root may mount";
  const Outcome o = clr(train("ro"));
  expect_refused(o);
  EXPECT_NE(o.err.find("Read-only"), std::string::npos) << o.err;
  ASSERT_TRUE(disk.remount(0, 4096));
  expect_goes_on("ro");
  ASSERT_TRUE(disk.remount(MS_RDONLY, 4096));
  EXPECT_EQ(clr({"predict", "--task", dir / "ro/tasks/one.safetensors", "--backbone",
                 dir / "backbone.safetensors", dir / "data/one/class0/0.ppm"})
                .status,
            0)
      << "reading needs no writing";
}

// Runs the program with a limit on its address space.
Outcome clr_within(int megabytes, const std::vector<std::string>& arguments, const TempDir& dir) {
  std::string command = "ulimit -v " + std::to_string(megabytes * 1024) + "; exec " CLR_BINARY;
  for (const std::string& a : arguments) command += " '" + a + "'";
  command = "(" + command + ") >" + dir / "out" + " 2>" + dir / "err";
  const int status = std::system(command.c_str());
  return {WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status), read_text(dir / "out"),
          read_text(dir / "err")};
}

TEST_F(Surroundings, little_memory) {
  if (is_sanitized()) GTEST_SKIP() << "a sanitizer needs address space for itself";
  whole();
  int refused = 0, through = 0;
  for (int megabytes = 14; megabytes <= 126; megabytes += 8) {
    const std::string run = "memory" + std::to_string(megabytes);
    const Outcome o = clr_within(megabytes, train(run), dir);
    SCOPED_TRACE(std::to_string(megabytes) + " MiB, status " + std::to_string(o.status) + ": " + o.err);
    if (o.status == 0) {
      ++through;
      EXPECT_TRUE(task_files(run) == whole());
    } else if (o.status != 127 &&
               o.err.find("terminate called without an active exception") == std::string::npos) {
      // Else the loader had not enough memory (127), or the C++ library had none for an exception.
      ++refused;
      expect_refused(o);
      expect_nothing_torn(run, true);
      EXPECT_EQ(o.err.find("a smaller batch or smaller images") == std::string::npos,
                o.err.find("option  --batch, --size") == std::string::npos);
    }
  }
  EXPECT_GT(refused, 0);
  EXPECT_GT(through, 0);

  // A stack for each of many threads.
  std::vector<std::string> many = train("many");
  ASSERT_EQ(many.back(), "1") << "--threads";
  many.back() = "64";
  const Outcome o = clr_within(200, many, dir);
  expect_refused(o);
  EXPECT_NE(o.err.find(" of 64 threads could be started: "), std::string::npos) << o.err;
}

TEST_F(Surroundings, a_weight_file_that_is_cut) {
  const std::string bytes = read_text(dir / "backbone.safetensors");
  for (int eighths = 0; eighths < 8; ++eighths) {
    write_text(dir / "backbone.safetensors", bytes.substr(0, bytes.size() * eighths / 8));
    const Outcome o = clr(train("cut"));
    expect_refused(o);
    EXPECT_NE(o.err.find("backbone.safetensors"), std::string::npos) << o.err;
    EXPECT_FALSE(exists(dir / "cut"));
  }
  // A file cut while it is read is read whole or refused.
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    while (!stop) {
      fs::resize_file(dir / "backbone.safetensors", bytes.size() / 2);
      std::this_thread::sleep_for(std::chrono::microseconds(300));
      write_text(dir / "backbone.safetensors", bytes);
      std::this_thread::sleep_for(std::chrono::microseconds(700));
    }
  });
  for (int i = 0; i < 20; ++i) {
    const Outcome o = clr({"info", dir / "backbone.safetensors"});
    if (o.status != 0) expect_refused(o);
  }
  stop = true;
  writer.join();
}

TEST_F(Surroundings, data_that_change_while_it_trains) {
  whole();
  for (const bool cached : {false, true}) {
    const Environment memory("REPRISE_CACHE_MB", cached ? "0" : "100");
    const std::string run = cached ? "cached" : "changing";
    {
      Running first(train(run));
      // run.json appears once every task was found.
      while (!exists(dir / (run + "/run.json"))) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      write_image(dir / "data/three/class1/3.ppm", 8, 2, 99);
      fs::remove(dir / "data/three/class2/0.ppm");
      write_text(dir / "data/three/class0/new.ppm", "P6\n8 8\n255\nshort");
      const int status = first.wait();
      EXPECT_TRUE(status == 0 || status == 1) << status;
    }
    expect_nothing_torn(run, true);  // a task is learned from what was found, or not at all
    expect_refused(clr(train(run)));
    fs::remove_all(dir / "data/three");
    write_task(dir / "data", "three", 4);
    expect_goes_on(run);
  }
}

TEST_F(Surroundings, several_processes_of_which_some_are_killed) {
  whole();
  std::vector<std::unique_ptr<Running>> all;
  for (int i = 0; i < 4; ++i) all.push_back(std::make_unique<Running>(train("shared")));
  while (!exists(dir / "shared/run.json")) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  for (int i = 0; i < 2; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    all[static_cast<std::size_t>(i)]->send(SIGKILL);
  }
  for (auto& r : all) {
    const int status = r->wait();
    EXPECT_TRUE(status == 0 || status == 128 + SIGKILL) << status;
  }
  expect_nothing_torn("shared", false);
  expect_goes_on("shared");
}

}  // namespace
}  // namespace reprise::test
