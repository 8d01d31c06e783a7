// Reading and writing whole files; a failure leaves no file.
#include "data/io/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>
#include <filesystem>

#include "data/loader/pixel_cache.h"
#include "data/sets/files.h"
#include "engine/base/error.h"
#include "tests/data/temporary_folder.h"

namespace reprise::data {
namespace {

std::string content(const std::string& path) {
  const auto bytes = read_file(path);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
std::size_t entries(const std::string& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

// While it lives, limits files to 64 KiB, like a full disk.
class SmallDisk {
 public:
  SmallDisk() {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit small = before_;
    small.rlim_cur = 65536;
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    ::setrlimit(RLIMIT_FSIZE, &small);
  }
  ~SmallDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

// While it lives, the program has no standard input, so the next file gets descriptor 0.
class NoStandardInput {
 public:
  NoStandardInput() : kept_(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 100)) { ::close(STDIN_FILENO); }
  ~NoStandardInput() {
    if (kept_ >= 0) ::dup2(kept_, STDIN_FILENO), ::close(kept_);
  }
  NoStandardInput(const NoStandardInput&) = delete;
  NoStandardInput& operator=(const NoStandardInput&) = delete;
  static bool nothing_is_open() { return ::fcntl(STDIN_FILENO, F_GETFD) == -1; }

 private:
  int kept_;
};

TEST(File, DescriptorZeroIsAsGoodAsAnyOther) {
  const TemporaryFolder folder;
  folder.image("image.ppm");
  const NoStandardInput closed;
  ASSERT_TRUE(closed.nothing_is_open());
  errno = EEXIST;  // left by an earlier call
  write_file_atomically(folder.path("a"), "text");
  EXPECT_TRUE(closed.nothing_is_open()) << "written";
  errno = ENOENT;
  EXPECT_EQ(content(folder.path("a")), "text");
  EXPECT_TRUE(closed.nothing_is_open()) << "read";
  {
    AtomicFile file(folder.path("b"));
    file.write("not committed");
    EXPECT_FALSE(closed.nothing_is_open());
  }
  EXPECT_TRUE(closed.nothing_is_open()) << "given up";
  EXPECT_EQ(entries(folder.path()), 2u);
  EXPECT_EQ(why_no_image(folder.path("image.ppm")), "");
  EXPECT_TRUE(closed.nothing_is_open()) << "looked at";
  const auto fill = [](std::int64_t, std::int64_t, std::byte* rows, Digest* digests) {
    rows[0] = std::byte{7}, digests[0] = no_digest;
  };
  write_rows(folder.path("rows"), {}, 1, 1, fill);
  const auto rows = open_rows(folder.path("rows"), {}, 1, 1);
  ASSERT_NE(rows, nullptr);
  EXPECT_EQ(rows->row(0)[0], std::byte{7});
  EXPECT_TRUE(closed.nothing_is_open()) << "mapped";
}

TEST(File, ReadsWhatWasWritten) {
  const TemporaryFolder folder;
  for (const std::size_t n : {0u, 1u, 4095u, 4096u, 4097u, 3000000u}) {
    std::string text(n, '\0');
    for (std::size_t i = 0; i < n; ++i) text[i] = static_cast<char>(i * 7);
    write_file_atomically(folder.path("a"), text);
    EXPECT_EQ(content(folder.path("a")), text);
    EXPECT_EQ(entries(folder.path()), 1u);
  }
}

TEST(File, ReadErrorsNameThePath) {
  const TemporaryFolder folder;
  folder.write("big", std::string(100, 'x'));
  EXPECT_NE(message_of([&] { read_file(folder.path("none")); }).find(folder.path("none") + ": no such file"),
            std::string::npos);
  EXPECT_NE(message_of([&] { read_file(folder.path()); }).find(folder.path() + ": is a directory"),
            std::string::npos);
  EXPECT_NE(message_of([&] { read_file(folder.path("big"), 99); }).find("100 bytes are more than the 99"),
            std::string::npos);
  EXPECT_EQ(read_file(folder.path("big"), 100).size(), 100u);
  EXPECT_NE(message_of([&] { read_file("/dev/zero", 10000); }).find("more than the 10000"),
            std::string::npos);
  EXPECT_NE(message_of([&] { read_file(folder.path("big/below")); }).find("Not a directory"),
            std::string::npos);
}

TEST(File, AFileThatCannotBeRead) {
  const std::string file = "/proc/self/mem";  // nothing is mapped at its first byte
  if (!std::filesystem::exists(file)) GTEST_SKIP() << "no " << file;
  EXPECT_EQ(message_of([&] { read_file(file); }), file + ": cannot be read: Input/output error");
  EXPECT_EQ(why_no_image(file), "Input/output error");
}

// Root may read and write everything, so these run as another user if they can.
TEST(File, PermissionErrors) {
  const TemporaryFolder folder;
  folder.write("locked", "x");
  ASSERT_EQ(::chmod(folder.path("locked").c_str(), 0), 0);
  ASSERT_EQ(::chmod(folder.path().c_str(), 0555), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) ::_exit(77);
    const auto says = [](const auto& f) {
      try {
        f();
      } catch (const Error& e) {
        return std::string(e.what()).find("Permission denied") != std::string::npos;
      }
      return false;
    };
    const bool read = says([&] { read_file(folder.path("locked")); });
    const bool write = says([&] { write_file_atomically(folder.path("new"), "text"); });
    ::_exit(read && write ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ::chmod(folder.path().c_str(), 0755);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) GTEST_SKIP() << "cannot become another user";
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_EQ(entries(folder.path()), 1u);
}

TEST(File, FailedWritesLeaveWhatWasThere) {
  const TemporaryFolder folder;
  write_file_atomically(folder.path("a"), "before");
  {
    const SmallDisk disk;
    const std::string reason =
        message_of([&] { write_file_atomically(folder.path("a"), std::string(100000, 'x')); });
    EXPECT_NE(reason.find(folder.path("a") + ": cannot be written: File too large"), std::string::npos)
        << reason;
  }
  EXPECT_EQ(content(folder.path("a")), "before");
  EXPECT_EQ(entries(folder.path()), 1u);

  folder.folder("taken/inside");
  EXPECT_NE(
      message_of([&] { write_file_atomically(folder.path("taken"), "x"); }).find("cannot be put in place"),
      std::string::npos);
  EXPECT_NE(message_of([&] { write_file_atomically(folder.path("none/a"), "x"); }).find("No such file"),
            std::string::npos);
  EXPECT_EQ(entries(folder.path()), 2u);
}

TEST(File, NothingAppearsBeforeCommit) {
  const TemporaryFolder folder;
  {
    AtomicFile file(folder.path("a"));
    file.write("one ");
    EXPECT_FALSE(std::filesystem::exists(folder.path("a")));
  }
  EXPECT_EQ(entries(folder.path()), 0u);
  AtomicFile file(folder.path("a"));
  file.write("one ");
  file.write("two");
  file.commit();
  EXPECT_EQ(content(folder.path("a")), "one two");
  EXPECT_EQ(entries(folder.path()), 1u);
  EXPECT_THROW(file.write("three"), InternalError);
}

TEST(File, OnlyTheFirstOfSeveralIsPutInPlace) {
  const TemporaryFolder folder;
  AtomicFile first(folder.path("a")), second(folder.path("a"));
  first.write("first");
  second.write("second");
  EXPECT_TRUE(second.commit(false));
  EXPECT_FALSE(first.commit(false));
  EXPECT_EQ(content(folder.path("a")), "second");
}

TEST(File, OnlyAbandonedTemporariesAreRemoved) {
  const TemporaryFolder folder;
  const auto name = [](const std::string& host, long process) {
    return ".reprise-" + host + "-" + std::to_string(process) + "-0.tmp";
  };
  const std::string dead = name(host_name(), 99999999), elsewhere = name("another-host", 99999999),
                    old = name("old-host", 1);
  for (const std::string& file : {dead, elsewhere, old}) folder.write(file, "of a process that was killed");
  const timespec two_days_ago[2] = {{std::time(nullptr) - 2 * 24 * 3600, 0},
                                    {std::time(nullptr) - 2 * 24 * 3600, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, folder.path(old).c_str(), two_days_ago, 0), 0);
  folder.write(".reprise-notes", "somebody's");
  folder.write("a.tmp", "somebody's");
  folder.folder(".reprise-1-1.tmp");
  {
    AtomicFile file(folder.path("a"));
    file.write("being written");
    EXPECT_EQ(entries(folder.path()), 7u);
    remove_abandoned_files(folder.path());
    EXPECT_EQ(entries(folder.path()), 5u);
    file.commit();
  }
  EXPECT_EQ(content(folder.path("a")), "being written");
  EXPECT_FALSE(std::filesystem::exists(folder.path(dead)));
  EXPECT_FALSE(std::filesystem::exists(folder.path(old)));
  EXPECT_TRUE(std::filesystem::exists(folder.path(elsewhere))) << "its process may run on that machine";
  remove_abandoned_files(folder.path("absent"));
}

}  // namespace
}  // namespace reprise::data
