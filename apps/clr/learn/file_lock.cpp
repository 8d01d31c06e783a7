#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "apps/clr/learn/run_folder.h"
#include "engine/base/check.h"
#include "engine/base/log.h"

namespace reprise::clr {

std::optional<FileLock> FileLock::lock(const std::string& path, bool wait) {
  for (;;) {
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    REPRISE_CHECK(descriptor >= 0, "{}: cannot be opened: {}", path, std::strerror(errno));
    FileLock held(path, descriptor);
    int result = 0;
    do {
      result = ::flock(descriptor, wait ? LOCK_EX : LOCK_EX | LOCK_NB);
    } while (result != 0 && errno == EINTR);
    if (result != 0 && !wait && errno == EWOULDBLOCK) return std::nullopt;
    if (result != 0) {
      static std::atomic<bool> told{false};
      if (!told.exchange(true))
        log_line(
            fmt::format("clr: {}: no locks on this file system ({}): several processes may learn one task, "
                        "to the same bytes; --shard gives each its own",
                        path, std::strerror(errno)));
      return held;
    }
    // If the previous owner deleted the file between our open and
    // our lock, this lock is on no file: try again.
    struct stat mine = {}, there = {};
    if (::fstat(descriptor, &mine) == 0 && ::stat(path.c_str(), &there) == 0 && mine.st_ino == there.st_ino &&
        mine.st_dev == there.st_dev)
      return held;
  }
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void FileLock::remove() {
  ::unlink(path_.c_str());
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

}  // namespace reprise::clr
