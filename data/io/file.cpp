#include "data/io/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <utility>

#include "engine/base/check.h"

namespace reprise::data {
namespace {

// A file descriptor that closes itself.
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Syncs the folder, so that the new name is on the disk as well. A file system that cannot sync
// folders says EINVAL, which is no failure.
bool sync_folder(const std::string& folder) {
  const Descriptor d{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  return d.fd >= 0 && (::fsync(d.fd) == 0 || errno == EINVAL);
}

}  // namespace

std::vector<std::byte> read_file(const std::string& path, std::uint64_t max_bytes) {
  const Descriptor d{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  REPRISE_CHECK(d.fd >= 0 || errno != ENOENT, "{}: no such file", path);
  REPRISE_CHECK(d.fd >= 0, "{}: cannot be opened: {}", path, std::strerror(errno));
  struct stat info {};
  REPRISE_CHECK(::fstat(d.fd, &info) == 0, "{}: {}", path, std::strerror(errno));
  REPRISE_CHECK(!S_ISDIR(info.st_mode), "{}: is a directory, not a file", path);
  const auto expected = S_ISREG(info.st_mode) ? static_cast<std::uint64_t>(info.st_size) : 0;
  REPRISE_CHECK(expected <= max_bytes, "{}: {} bytes are more than the {} that are read here", path, expected,
                max_bytes);

  // One byte more than expected, so that read() finds the end and the vector need not grow.
  std::vector<std::byte> bytes;
  std::size_t filled = 0;
  try {
    bytes.resize(static_cast<std::size_t>(std::max<std::uint64_t>(expected, 4095)) + 1);
    for (;;) {
      if (filled == bytes.size()) bytes.resize(filled * 2);
      const ssize_t n = ::read(d.fd, bytes.data() + filled, bytes.size() - filled);
      if (n < 0 && errno == EINTR) continue;
      REPRISE_CHECK(n >= 0, "{}: cannot be read: {}", path, std::strerror(errno));
      if (n == 0) break;
      filled += static_cast<std::size_t>(n);
      REPRISE_CHECK(filled <= max_bytes, "{}: more than the {} bytes that are read here", path, max_bytes);
    }
  } catch (const std::bad_alloc&) {
    throw_error("{}: not enough memory for its {} bytes", path, expected);
  }
  bytes.resize(filled);
  return bytes;
}

std::vector<std::string> names_in(const std::string& folder) {
  // Not std::filesystem's iterator: libstdc++'s ends the program where memory runs out.
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(folder.c_str()), ::closedir);
  REPRISE_CHECK(listing, "the folder cannot be listed: {}\n  folder  {}", std::strerror(errno), folder);
  std::vector<std::string> names;
  for (errno = 0; const dirent* entry = ::readdir(listing.get()); errno = 0) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  REPRISE_CHECK(errno == 0, "the folder cannot be listed: {}\n  folder  {}", std::strerror(errno), folder);
  return names;
}

namespace {

constexpr std::string_view temporary_begin = ".reprise-", temporary_end = ".tmp";
constexpr std::time_t abandoned_after = 24 * 60 * 60;  // seconds

// The first part of the names of this process's temporary files, or of another's.
std::string temporary_of(long process) {
  return fmt::format("{}{}-{}-", temporary_begin, host_name(), process);
}

// Returns true where the name is of a process of this machine that no longer runs.
bool is_of_dead_process(const std::string& name) {
  const std::size_t end = name.rfind('-'), begin = name.rfind('-', end - 1) + 1;
  const long process = std::strtol(name.c_str() + begin, nullptr, 10);
  return process > 0 && name.starts_with(temporary_of(process)) &&
         ::kill(static_cast<pid_t>(process), 0) != 0 && errno == ESRCH;
}

}  // namespace

std::string host_name() {
  char name[256] = "";
  ::gethostname(name, sizeof name - 1);
  std::replace(std::begin(name), std::end(name), '/', '_');
  return name;
}

void remove_abandoned_files(const std::string& folder) {
  struct stat info {};
  if (::stat(folder.c_str(), &info) != 0) return;
  for (const std::string& name : names_in(folder)) {
    const std::string path = folder + "/" + name;
    if (name.starts_with(temporary_begin) && name.ends_with(temporary_end) &&
        ::lstat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
        (is_of_dead_process(name) || info.st_mtime + abandoned_after < std::time(nullptr)))
      ::unlink(path.c_str());
  }
}

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)) {
  static std::atomic<unsigned> count{0};
  do {  // an earlier process of this id may have left a file
    temporary_ = fmt::format("{}/{}{}{}", folder_of(path_), temporary_of(::getpid()), count++, temporary_end);
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (descriptor_ < 0 && errno == EEXIST);
  if (descriptor_ >= 0) return;
  temporary_.clear();
  fail("cannot be created");
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::fail(std::string_view doing) {
  throw_error("{}: {}: {}", path_, doing, std::strerror(errno));
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  REPRISE_INVARIANT(descriptor_ >= 0, "{}: written after commit", path_);
  while (!bytes.empty()) {
    const ssize_t n = ::write(descriptor_, bytes.data(), std::min<std::size_t>(bytes.size(), 1u << 30));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("cannot be written");
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

bool AtomicFile::commit(bool replace) {
  REPRISE_INVARIANT(descriptor_ >= 0, "{}: committed twice", path_);
  if (::fsync(descriptor_) != 0) fail("cannot be written");
  if (!replace && ::link(temporary_.c_str(), path_.c_str()) == 0)
    ::unlink(temporary_.c_str());
  else if (!replace && ::access(path_.c_str(), F_OK) == 0)
    return false;
  else if (std::rename(temporary_.c_str(), path_.c_str()) != 0)
    fail("cannot be put in place");
  temporary_.clear();
  ::close(std::exchange(descriptor_, -1));
  if (!sync_folder(folder_of(path_))) fail("its folder cannot be synced");
  return true;
}

void write_file_atomically(const std::string& path, std::span<const std::byte> bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

void write_file_atomically(const std::string& path, std::string_view text) {
  write_file_atomically(path, std::as_bytes(std::span(text.data(), text.size())));
}

}  // namespace reprise::data
